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

# A local variable of let or const is not looked at each time whether it has been initialised, when the code stands behind its declaration: then
# loops count by inc_loc, and text grows in its place by add_loc. Only the cases of a switch can jump over a declaration that they see.
/^typedef struct JSVarDef/,/^}/s/^    uint8_t var_kind : 4;.*/    uint8_t is_set : 1;\
&/
/^typedef struct JSVarScope/,/^}/s/^    int first;.*/    int is_switch;\
&/
/^static int push_scope/,/^}/s/^        fd->scopes\[scope\].first = .*/        fd->scopes[scope].is_switch = 0;\
&/
/^    case TOK_SWITCH:/,/new_label/s/push_scope(s);/&\
            s->cur_func->scopes[s->cur_func->scope_level].is_switch = 1;/
/^static int resolve_scope_var/,/^}/{
s/if (s->vars\[var_idx\].is_lexical)/if (s->vars[var_idx].is_lexical \&\& !s->vars[var_idx].is_set)/
/put_loc_check_init);/,/}/s/dbuf_putc(bc, OP_put_loc);/&\
                            if (var_name != JS_ATOM_this)\
                                s->vars[var_idx].is_set = !s->scopes[s->vars[var_idx].scope_level].is_switch;/
}

# Text that a variable gathers by += grows in its place, where the variable's is the only reference: it is let go of just before, when the next
# instruction sets it anyway. Without that each += copies all that there is.
/^static JSValue JS_CallInternal(JSContext \*caller_ctx/i\
/* The local variable that the instruction at pc sets, or -1. */\
static inline int sets_local(const uint8_t *pc)\
{\
    switch (*pc) {\
    case OP_put_loc: case OP_set_loc: case OP_put_loc_check: return get_u16(pc + 1);\
    case OP_put_loc8: case OP_set_loc8: return pc[1];\
    case OP_put_loc0: case OP_put_loc1: case OP_put_loc2: case OP_put_loc3: return *pc - OP_put_loc0;\
    case OP_set_loc0: case OP_set_loc1: case OP_set_loc2: case OP_set_loc3: return *pc - OP_set_loc0;\
    default: return -1;\
    }\
}\

/^        CASE(OP_add):/,/BREAK;/s/^                add_slow:/&\
                    if (JS_VALUE_GET_TAG(sp[-2]) == JS_TAG_STRING \&\& JS_VALUE_GET_TAG(sp[-1]) != JS_TAG_OBJECT \&\&\
                        JS_VALUE_GET_TAG(sp[-1]) != JS_TAG_SYMBOL) {\
                        int idx = sets_local(pc);\
                        if (idx >= 0 \&\& JS_VALUE_GET_TAG(var_buf[idx]) == JS_TAG_STRING \&\&\
                            JS_VALUE_GET_PTR(var_buf[idx]) == JS_VALUE_GET_PTR(sp[-2])) {\
                            JS_FreeValue(ctx, var_buf[idx]);\
                            var_buf[idx] = JS_UNDEFINED;\
                        }\
                    }/
/^        CASE(OP_add_loc):/,/BREAK;/s/^ *op1 = JS_ConcatString(ctx, JS_DupValue(ctx, \*pv), op1);/                    op1 = JS_ToStringFree(ctx, op1);\
                    if (JS_IsException(op1))\
                        goto exception;\
                    {\
                        JSValue gathered = *pv;\
                        *pv = JS_UNDEFINED;\
                        op1 = JS_ConcatString(ctx, gathered, op1);\
                    }/
