#include "proto/wire.h"

enum { DEPTH_MAX = 8, VARINT_MAX_BYTES = 10 };

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static mr_err broken(const ProtobufCMessageDescriptor *type, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EPROTOCOL, "%s: not a well formed message", type->short_name);
}

static bool take_varint(mr_slice *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < rest->size && i < VARINT_MAX_BYTES; i++) {
        unsigned char byte = (unsigned char)rest->data[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *rest = (mr_slice){rest->data + i + 1, rest->size - i - 1};
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(mr_slice *rest, uint64_t size, mr_slice *ret_bytes)
{
    if (size > rest->size)
        return false;
    *ret_bytes = (mr_slice){rest->data, (size_t)size};
    *rest = (mr_slice){rest->data + size, rest->size - (size_t)size};
    return true;
}

/* The content of a field; *ret_bytes is set for WIRE_BYTES. */
static bool take_content(mr_slice *rest, unsigned wire_type, mr_slice *ret_bytes)
{
    uint64_t number;
    switch (wire_type) {
    case WIRE_VARINT:
        return take_varint(rest, &number);
    case WIRE_64:
        return take_bytes(rest, 8, ret_bytes);
    case WIRE_32:
        return take_bytes(rest, 4, ret_bytes);
    case WIRE_BYTES:
        return take_varint(rest, &number) && take_bytes(rest, number, ret_bytes);
    default:
        return false;
    }
}

static mr_err check(const ProtobufCMessageDescriptor *type, mr_slice rest, int depth, mr_error *ret_error)
{
    uint64_t seen = 0; /* bit per field of the type; ours have fewer than 64 */
    if (depth > DEPTH_MAX)
        return mr_fail(ret_error, MR_EPROTOCOL, "%s: nested too deeply", type->short_name);
    while (rest.size > 0) {
        uint64_t tag;
        mr_slice bytes = {0};
        if (!take_varint(&rest, &tag) || tag >> 3 == 0 || tag >> 32 != 0 ||
            !take_content(&rest, (unsigned)(tag & 7), &bytes))
            return broken(type, ret_error);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (field == NULL)
            continue;
        uint64_t bit = UINT64_C(1) << (field - type->fields);
        if (field->label != PROTOBUF_C_LABEL_REPEATED && (seen & bit) != 0)
            return mr_fail(ret_error, MR_EPROTOCOL, "%s: %s stands twice", type->short_name, field->name);
        seen |= bit;
        if ((tag & 7) != WIRE_BYTES)
            continue;
        if (field->type == PROTOBUF_C_TYPE_STRING && memchr(bytes.data, '\0', bytes.size) != NULL)
            return mr_fail(ret_error, MR_EPROTOCOL, "%s: %s holds a NUL", type->short_name, field->name);
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            mr_err err = check(field->descriptor, bytes, depth + 1, ret_error);
            if (err != MR_OK)
                return err;
        }
    }
    return MR_OK;
}

mr_err mr_wire_check(const ProtobufCMessageDescriptor *type, mr_slice bytes, mr_error *ret_error)
{
    return check(type, bytes, 0, ret_error);
}
