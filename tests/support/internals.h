// The library's internal headers, which are C.
#ifndef SALLY_TEST_INTERNALS_H
#define SALLY_TEST_INTERNALS_H

extern "C" {
#include "bio.h"
#include "break.h"
#include "buf.h"
#include "clock.h"
#include "conn.h"
#include "engine.h"
#include "error.h"
#include "mem.h"
#include "sock.h"
#include "transport.h"
#include "wait.h"
}

#endif
