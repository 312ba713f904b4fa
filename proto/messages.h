/* messages.h - packing, unpacking and checking of what coordinator, worker and task say to each other.
 *
 * The messages are those of millrace.proto, as protobuf-c generates them (Mr__Proto__...). Bytes from a peer
 * are hostile until one of the unpack functions has accepted them; a message that was accepted holds only
 * what the comments below promise, so nobody checks it again. Memory that unpacking takes is bounded,
 * whatever the bytes say. Packing only checks the size. Thread: any.
 *
 * Bounds of every accepted message: at most MR_TASKS_MAX entries in a list; tenant ids as mr_tenant_id_valid;
 * other ids as mr_name_valid (ids.h); epochs from 1; enums known, a kind and not KIND_UNSPECIFIED; partitions
 * and offsets not negative, ranges not backwards; required sub-messages present; no string cut at a NUL.
 * Texts for people (error text, step, refused, reasons) are valid UTF-8 without control characters: what was
 * not has been replaced by '?'.
 */
#ifndef MR_PROTO_MESSAGES_H
#define MR_PROTO_MESSAGES_H

#include "core/slice.h"
#include "proto/millrace.pb-c.h"

enum {
    MR_PROTOCOL = 1, /* the `protocol` of Request and Reply; grows when old peers would misunderstand */
    MR_RPC_MAX_BYTES = 1024 * 1024,
    MR_PACKET_MAX_BYTES = 128 * 1024,
    MR_TASKS_MAX = 10000,
    MR_PROPERTIES_MAX = 1000, /* of one assignment */
};

/* How Reply.refused begins when another incarnation has taken this one's place: its tasks must end at once.
 */
#define MR_REFUSED_REPLACED "incarnation replaced"

/* Appends the packed message to `out`. MR_ETOOLARGE beyond MR_RPC_MAX_BYTES (request, reply) or
 * MR_PACKET_MAX_BYTES (the packets between worker and task), MR_ENOMEM. The caller sets `protocol`. */
mr_err mr_request_pack(const Mr__Proto__Request *request, mr_buf *out, mr_error *ret_error);
mr_err mr_reply_pack(const Mr__Proto__Reply *reply, mr_buf *out, mr_error *ret_error);
mr_err mr_to_task_pack(const Mr__Proto__WorkerToTask *packet, mr_buf *out, mr_error *ret_error);
mr_err mr_from_task_pack(const Mr__Proto__TaskToWorker *packet, mr_buf *out, mr_error *ret_error);

/* One whole message. MR_EPROTOCOL: not a message, breaks a promise above, or of another protocol version;
 * MR_ETOOLARGE: beyond the bounds of size or memory; MR_ENOMEM. The result is the caller's: close it.
 * A Request holds exactly one of report and watch. A WorkerToTask holds an assignment, or stop, or both. */
mr_err mr_request_unpack(mr_slice bytes, Mr__Proto__Request **ret_request, mr_error *ret_error);
mr_err mr_reply_unpack(mr_slice bytes, Mr__Proto__Reply **ret_reply, mr_error *ret_error);
mr_err mr_to_task_unpack(mr_slice bytes, Mr__Proto__WorkerToTask **ret_packet, mr_error *ret_error);
mr_err mr_from_task_unpack(mr_slice bytes, Mr__Proto__TaskToWorker **ret_packet, mr_error *ret_error);

void mr_request_close(Mr__Proto__Request **request);
void mr_reply_close(Mr__Proto__Reply **reply);
void mr_to_task_close(Mr__Proto__WorkerToTask **packet);
void mr_from_task_close(Mr__Proto__TaskToWorker **packet);

/* Deep copies; the source need not have been unpacked, but lists and strings must be well formed. MR_ENOMEM.
 */
mr_err mr_assignment_copy(const Mr__Proto__Assignment *from, Mr__Proto__Assignment **ret_copy);
mr_err mr_status_copy(const Mr__Proto__TaskStatus *from, Mr__Proto__TaskStatus **ret_copy);
void mr_assignment_close(Mr__Proto__Assignment **assignment);
void mr_status_close(Mr__Proto__TaskStatus **status);

/* Value of a property of the task's configuration, or NULL. Borrowed. */
const char *mr_assignment_property(const Mr__Proto__Assignment *assignment, const char *key);

/* Whether a task of this kind ends by itself. */
bool mr_kind_bounded(Mr__Proto__TaskKind kind);
/* Whether a status of this state is a task's last word: STOPPED, FAILED, ENDED. */
bool mr_state_final(Mr__Proto__TaskState state);
/* "source", "RUNNING": for logs and people. */
const char *mr_kind_name(Mr__Proto__TaskKind kind);
const char *mr_state_name(Mr__Proto__TaskState state);

#endif
