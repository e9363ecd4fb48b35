// Kills a test that hangs, with the stacks of all threads.
//
// It guards every test of a program that links the fixtures: 50 seconds, stretched in slow builds and
// long runs. SALLY_TEST_WATCHDOG=SECONDS sets it, 0 turns it off.
#ifndef SALLY_TEST_WATCHDOG_H
#define SALLY_TEST_WATCHDOG_H

namespace sallytest
{

// Gives the running test this many seconds from now.
void watchdog_limit(int seconds);

// Prints the stacks of all threads to standard error.
void print_all_stacks();

} // namespace sallytest
#endif
