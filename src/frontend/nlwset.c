// SPDX-License-Identifier: GPL-2.0-or-later
/* nlwset: sets and their elements as netlink messages. */
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "nlwrite.h"

#define CHUNK 30000u /* bytes of elements in a message; an attribute has at most 65535 */

/* nft's own notes on a set: in which order of bytes it keeps keys and data, and the comment. */
enum { UDATA_KEY_ORDER, UDATA_DATA_ORDER, UDATA_MERGE, UDATA_COMMENT = 7 };
enum { NFT_HOST_ENDIAN = 1, NFT_BIG_ENDIAN };

static void udata_u32(struct sbuf *b, uint8_t type, uint32_t v)
{
	uint8_t head[2] = { type, 4 };

	sb_add(b, (const char *)head, 2);
	sb_add(b, (const char *)&v, 4);
}

static uint32_t udata_order(enum byte_order o)
{
	return o == ORDER_HOST ? NFT_HOST_ENDIAN : NFT_BIG_ENDIAN;
}

static void put_udata(struct nlw *w, const struct set *s)
{
	struct sbuf b;

	sb_init(&b, w->arena);
	udata_u32(&b, UDATA_KEY_ORDER, udata_order(set_key_order(s)));
	if (s->flags & SET_MAP && !s->is_vmap)
		udata_u32(&b, UDATA_DATA_ORDER, udata_order(set_data_order(s)));
	if (s->auto_merge)
		udata_u32(&b, UDATA_MERGE, 1);
	if (s->comment && strlen(s->comment) < 128) {
		uint8_t head[2] = { UDATA_COMMENT, (uint8_t)(strlen(s->comment) + 1) };

		sb_add(&b, (const char *)head, 2);
		sb_add(&b, s->comment, strlen(s->comment) + 1);
	}
	nlw_put(w, NFTA_SET_USERDATA, b.s, b.n);
}

static void put_desc(struct nlw *w, const struct set *s)
{
	uint32_t size = s->flags & SET_ANONYMOUS ? s->elems.n : s->has_size ? s->size : 0;
	size_t at, in, one;

	if (s->flags & SET_INTERVAL && !s->has_size) /* there the kernel counts ends as well */
		size = 0;
	if (!size && !(s->flags & SET_CONCAT))
		return;
	at = nlw_nest(w, NFTA_SET_DESC);
	if (size)
		nlw_u32(w, NFTA_SET_DESC_SIZE, size);
	if (s->flags & SET_CONCAT) {
		in = nlw_nest(w, NFTA_SET_DESC_CONCAT);
		for (uint32_t i = 0; i < s->n_fields; i++) {
			one = nlw_nest(w, NFTA_LIST_ELEM);
			nlw_u32(w, NFTA_SET_FIELD_LEN, s->field_len[i]);
			nlw_nest_end(w, one);
		}
		nlw_nest_end(w, in);
	}
	nlw_nest_end(w, at);
}

static bool put_exprs(struct nlw *w, uint16_t one, uint16_t many, struct expr *const *v, uint32_t n)
{
	size_t at;

	if (n == 1)
		return nlw_expr(w, one, v[0]);
	if (!n)
		return true;
	at = nlw_nest(w, many);
	for (uint32_t i = 0; i < n; i++)
		if (!nlw_expr(w, NFTA_LIST_ELEM, v[i]))
			return false;
	nlw_nest_end(w, at);
	return true;
}

static const char *wire_name(const struct set *s)
{
	if (!(s->flags & SET_ANONYMOUS))
		return s->name;
	return s->flags & (SET_MAP | SET_OBJECT) ? "__map%d" : "__set%d";
}

static bool put_set(struct nlw *w, const struct set *s)
{
	size_t at;

	nlw_say(w, arena_printf(w->arena, "set %s", s->name));
	at = nlw_msg(w, NFT_MSG_NEWSET, NLM_F_CREATE, (uint8_t)s->table->family);

	nlw_str(w, NFTA_SET_TABLE, s->table->name);
	nlw_str(w, NFTA_SET_NAME, wire_name(s));
	nlw_u32(w, NFTA_SET_FLAGS, s->flags);
	nlw_u32(w, NFTA_SET_KEY_TYPE, s->key_type);
	nlw_u32(w, NFTA_SET_KEY_LEN, s->key_len);
	if (s->flags & SET_MAP) {
		nlw_u32(w, NFTA_SET_DATA_TYPE, s->is_vmap ? DATA_VERDICT_TYPE : s->data_type);
		nlw_u32(w, NFTA_SET_DATA_LEN, s->is_vmap ? 16 : s->data_len);
	}
	if (s->flags & SET_OBJECT)
		nlw_u32(w, NFTA_SET_OBJ_TYPE, s->obj_type);
	nlw_u32(w, NFTA_SET_ID, nlw_id(w, s));
	if (s->has_policy)
		nlw_u32(w, NFTA_SET_POLICY, s->policy);
	put_desc(w, s);
	if (s->timeout)
		nlw_u64(w, NFTA_SET_TIMEOUT, s->timeout);
	if (s->gc_int)
		nlw_u32(w, NFTA_SET_GC_INTERVAL, s->gc_int);
	put_udata(w, s);
	if (!put_exprs(w, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS, s->exprs, s->n_exprs))
		return false;
	nlw_msg_end(w, at);
	return true;
}

static bool put_elem(struct nlw *w, const struct set *s, const struct set_elem *el)
{
	size_t at = nlw_nest(w, NFTA_LIST_ELEM);

	if (el->catchall)
		nlw_u32(w, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
	else
		nlw_data(w, NFTA_SET_ELEM_KEY, &el->key);
	if (!el->catchall && s->flags & SET_INTERVAL && s->n_fields > 1)
		nlw_data(w, NFTA_SET_ELEM_KEY_END, el->key_end.len ? &el->key_end : &el->key);
	if (s->is_vmap)
		nlw_verdict(w, NFTA_SET_ELEM_DATA, &el->verdict);
	else if (s->flags & SET_OBJECT)
		nlw_str(w, NFTA_SET_ELEM_OBJREF, el->obj->name);
	else if (s->flags & SET_MAP)
		nlw_data(w, NFTA_SET_ELEM_DATA, &el->data);
	if (el->has_timeout)
		nlw_u64(w, NFTA_SET_ELEM_TIMEOUT, el->timeout);
	if (el->expires)
		nlw_u64(w, NFTA_SET_ELEM_EXPIRATION, el->expires);
	if (el->comment)
		nlw_comment(w, NFTA_SET_ELEM_USERDATA, 0, el->comment);
	if (!put_exprs(w, NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS, el->exprs, el->n_exprs))
		return false;
	nlw_nest_end(w, at);
	return true;
}

/*
 * The end of a range as an element of its own: the first value behind it. None behind the last
 * value.
 */
static void put_end(struct nlw *w, const struct set_elem *el)
{
	struct data d = el->key_end.len ? el->key_end : el->key;
	unsigned int i = d.len;
	size_t at;

	while (i-- > 0)
		if (++d.b[i])
			break;
	if (i == UINT32_MAX)
		return;
	at = nlw_nest(w, NFTA_LIST_ELEM);
	nlw_data(w, NFTA_SET_ELEM_KEY, &d);
	nlw_u32(w, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nlw_nest_end(w, at);
}

/* Elements from *from on, as many as one message takes. */
static bool put_elems(struct nlw *w, const struct set *s, uint32_t *from)
{
	size_t at = nlw_msg(w, NFT_MSG_NEWSETELEM, NLM_F_CREATE, (uint8_t)s->table->family), in,
	       start;
	bool ends = s->flags & SET_INTERVAL && s->n_fields < 2;

	nlw_str(w, NFTA_SET_ELEM_LIST_TABLE, s->table->name);
	nlw_str(w, NFTA_SET_ELEM_LIST_SET, wire_name(s));
	nlw_u32(w, NFTA_SET_ELEM_LIST_SET_ID, nlw_id(w, s));
	in = nlw_nest(w, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (start = w->out.n; *from < s->elems.n && w->out.n - start < CHUNK; ++*from) {
		const struct set_elem *el = s->elems.v[*from];

		if (!put_elem(w, s, el))
			return false;
		if (ends && !el->catchall)
			put_end(w, el);
	}
	nlw_nest_end(w, in);
	nlw_msg_end(w, at);
	return true;
}

bool nlw_set(struct nlw *w, const struct set *s)
{
	if (!put_set(w, s))
		return false;
	for (uint32_t at = 0; at < s->elems.n && !w->no_elements;)
		if (!put_elems(w, s, &at))
			return false;
	return true;
}
