# What is changed in quickjs.c before it is compiled.

# A function on one line has no table of lines, and is on the line where it begins.
/^static int find_line_num/,/^}/s/ || !b->debug.pc2line_buf) {/) {/

# JSON.stringify does not look at the stack on its way down.
/^static int js_json_to_str/,/^}/s/^    prop = JS_UNDEFINED;$/&\
    if (js_check_stack_overflow(ctx->rt, 0)) {\
        JS_ThrowStackOverflow(ctx);\
        goto exception;\
    }/

# Whole numbers that 64 bits do not hold are rounded once, as those with a point are.
/^static double js_strtod/,/^}/s/if (!is_float || radix != 10) {/if (radix != 10) {/

# i++ of a small integer, which every loop has, goes the short way.
s/if (js_post_inc_slow(ctx, sp, opcode))/if (JS_VALUE_GET_TAG(sp[-1]) == JS_TAG_INT \&\& JS_VALUE_GET_INT(sp[-1]) < INT32_MAX \&\& JS_VALUE_GET_INT(sp[-1]) > INT32_MIN)\
                sp[0] = JS_NewInt32(ctx, JS_VALUE_GET_INT(sp[-1]) + (opcode == OP_post_inc ? 1 : -1));\
            else &/
