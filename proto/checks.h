/* checks.h - whether an unpacked message holds what messages.h promises. Texts for people are cleaned in
 * place. */
#ifndef MR_PROTO_CHECKS_H
#define MR_PROTO_CHECKS_H

#include "core/error.h"
#include "proto/millrace.pb-c.h"

/* All fail with MR_EPROTOCOL or MR_ETOOLARGE and a text that names message, task and field. */
mr_err mr_check_request(Mr__Proto__Request *request, mr_error *ret_error);
mr_err mr_check_reply(Mr__Proto__Reply *reply, mr_error *ret_error);
mr_err mr_check_to_task(Mr__Proto__WorkerToTask *packet, mr_error *ret_error);
mr_err mr_check_from_task(Mr__Proto__TaskToWorker *packet, mr_error *ret_error);

#endif
