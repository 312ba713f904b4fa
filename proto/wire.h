/* wire.h - what protobuf-c does not look at before it unpacks. */
#ifndef MR_PROTO_WIRE_H
#define MR_PROTO_WIRE_H

#include "core/slice.h"

#include <protobuf-c/protobuf-c.h>

/* Walks the bytes of a message as `type` describes it. MR_EPROTOCOL where they are not well formed, a string
 * holds a NUL (protobuf-c would cut it there), a field that is not repeated stands twice, or messages nest
 * deeper than ours do. Unknown fields pass. Source: "Protocol Buffers, Encoding". */
mr_err mr_wire_check(const ProtobufCMessageDescriptor *type, mr_slice bytes, mr_error *ret_error);

#endif
