#include "proto/messages.h"

#include "proto/checks.h"
#include "proto/wire.h"

#include <stdlib.h>

enum {
    /* What a message of the largest size may become in memory: a full report of 10,000 tasks takes 6 MiB. */
    MEMORY_PER_BYTE = 16,
    ALLOCATION_OVERHEAD = 16,
};

/* protobuf-c takes one block per sub-message and string; this bounds their sum. */
typedef struct budget {
    size_t left;
    bool exceeded;
} budget;

static void *budget_alloc(void *arg, size_t size)
{
    budget *b = arg;
    if (size > b->left || b->left - size < ALLOCATION_OVERHEAD) {
        b->exceeded = true;
        return NULL;
    }
    b->left -= size + ALLOCATION_OVERHEAD;
    return malloc(size);
}

/* What is freed while unpacking goes on is not given back: the budget bounds work as well. */
static void budget_free(void *arg, void *data)
{
    (void)arg;
    free(data);
}

static mr_err pack(const ProtobufCMessage *message, size_t max, mr_buf *out, mr_error *ret_error)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > max)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s of %zu bytes, at most %zu",
                       message->descriptor->short_name, size, max);
    if (mr_buf_reserve(out, size) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a message of %zu bytes", size);
    if (size > 0)
        out->size += protobuf_c_message_pack(message, (uint8_t *)out->data + out->size);
    return MR_OK;
}

static mr_err unpack(const ProtobufCMessageDescriptor *type, mr_slice bytes, size_t max,
                     ProtobufCMessage **ret_message, mr_error *ret_error)
{
    if (bytes.size > max)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s of %zu bytes, at most %zu", type->short_name, bytes.size,
                       max);
    mr_err err = mr_wire_check(type, bytes, ret_error);
    if (err != MR_OK)
        return err;
    budget left = {.left = max * MEMORY_PER_BYTE};
    ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &left};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, bytes.size, (const uint8_t *)bytes.data);
    if (message == NULL && left.exceeded)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s of %zu bytes takes more than %zu bytes of memory",
                       type->short_name, bytes.size, max * MEMORY_PER_BYTE);
    if (message == NULL)
        return mr_fail(ret_error, MR_EPROTOCOL, "%s: not a well formed message", type->short_name);
    *ret_message = message;
    return MR_OK;
}

#define MESSAGE(name, type, descriptor_name, max)                                                            \
    mr_err mr_##name##_pack(const type *message, mr_buf *out, mr_error *ret_error)                           \
    {                                                                                                        \
        return pack(&message->base, max, out, ret_error);                                                    \
    }                                                                                                        \
    mr_err mr_##name##_unpack(mr_slice bytes, type **ret_message, mr_error *ret_error)                       \
    {                                                                                                        \
        ProtobufCMessage *message;                                                                           \
        mr_err err = unpack(&descriptor_name, bytes, max, &message, ret_error);                              \
        if (err != MR_OK)                                                                                    \
            return err;                                                                                      \
        err = mr_check_##name((type *)message, ret_error);                                                   \
        if (err == MR_OK)                                                                                    \
            *ret_message = (type *)message;                                                                  \
        else                                                                                                 \
            protobuf_c_message_free_unpacked(message, NULL);                                                 \
        return err;                                                                                          \
    }                                                                                                        \
    void mr_##name##_close(type **message)                                                                   \
    {                                                                                                        \
        if (*message != NULL)                                                                                \
            protobuf_c_message_free_unpacked(&(*message)->base, NULL);                                       \
        *message = NULL;                                                                                     \
    }

MESSAGE(request, Mr__Proto__Request, mr__proto__request__descriptor, MR_RPC_MAX_BYTES)
MESSAGE(reply, Mr__Proto__Reply, mr__proto__reply__descriptor, MR_RPC_MAX_BYTES)
MESSAGE(to_task, Mr__Proto__WorkerToTask, mr__proto__worker_to_task__descriptor, MR_PACKET_MAX_BYTES)
MESSAGE(from_task, Mr__Proto__TaskToWorker, mr__proto__task_to_worker__descriptor, MR_PACKET_MAX_BYTES)

static mr_err copy(const ProtobufCMessage *from, ProtobufCMessage **ret_copy)
{
    size_t size = protobuf_c_message_get_packed_size(from);
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return MR_ENOMEM;
    protobuf_c_message_pack(from, bytes);
    ProtobufCMessage *made = protobuf_c_message_unpack(from->descriptor, NULL, size, bytes);
    free(bytes);
    if (made == NULL)
        return MR_ENOMEM;
    *ret_copy = made;
    return MR_OK;
}

mr_err mr_assignment_copy(const Mr__Proto__Assignment *from, Mr__Proto__Assignment **ret_copy)
{
    return copy(&from->base, (ProtobufCMessage **)ret_copy);
}

mr_err mr_status_copy(const Mr__Proto__TaskStatus *from, Mr__Proto__TaskStatus **ret_copy)
{
    return copy(&from->base, (ProtobufCMessage **)ret_copy);
}

void mr_assignment_close(Mr__Proto__Assignment **assignment)
{
    mr__proto__assignment__free_unpacked(*assignment, NULL);
    *assignment = NULL;
}

void mr_status_close(Mr__Proto__TaskStatus **status)
{
    mr__proto__task_status__free_unpacked(*status, NULL);
    *status = NULL;
}

const char *mr_assignment_property(const Mr__Proto__Assignment *assignment, const char *key)
{
    for (size_t i = 0; i < assignment->n_config; i++)
        if (strcmp(assignment->config[i]->key, key) == 0)
            return assignment->config[i]->value;
    return NULL;
}

bool mr_kind_bounded(Mr__Proto__TaskKind kind)
{
    return kind != MR__PROTO__TASK_KIND__SINK;
}

bool mr_state_final(Mr__Proto__TaskState state)
{
    return state == MR__PROTO__TASK_STATE__STOPPED || state == MR__PROTO__TASK_STATE__FAILED ||
           state == MR__PROTO__TASK_STATE__ENDED;
}

const char *mr_kind_name(Mr__Proto__TaskKind kind)
{
    static const char *const names[] = {"unspecified", "source", "sink", "program", "fence", "release"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

const char *mr_state_name(Mr__Proto__TaskState state)
{
    static const char *const names[] = {"UNASSIGNED", "STARTING", "RUNNING", "STALLED",
                                        "RESTARTING", "STOPPED",  "FAILED",  "ENDED"};
    return (size_t)state < sizeof names / sizeof *names ? names[state] : "?";
}
