/* L7 service: snapshots as text for Prometheus; what metrics_port.c needs of it besides the calls. */
#ifndef SALLY_PROMETHEUS_H
#define SALLY_PROMETHEUS_H

#include "sallyport/metrics.h"

/* USAGE unless all are labels that a sample may have. */
ssl_status sally_metrics_check_labels(const ssl_metrics_label *labels, size_t count,
                                      const char *call, ssl_error *err);

#endif
