#include "core/value.h"

const char *mr_type_name(mr_type type)
{
    switch (type) {
    case MR_TYPE_NULL:
        return "null";
    case MR_TYPE_BOOLEAN:
        return "boolean";
    case MR_TYPE_INT:
        return "int";
    case MR_TYPE_LONG:
        return "long";
    case MR_TYPE_FLOAT:
        return "float";
    case MR_TYPE_DOUBLE:
        return "double";
    case MR_TYPE_ENUM:
        return "enum";
    case MR_TYPE_BYTES:
        return "bytes";
    case MR_TYPE_STRING:
        return "string";
    case MR_TYPE_FIXED:
        return "fixed";
    case MR_TYPE_RECORD:
        return "record";
    case MR_TYPE_ARRAY:
        return "array";
    case MR_TYPE_MAP:
        return "map";
    }
    return "?";
}
