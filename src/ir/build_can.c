// SPDX-License-Identifier: GPL-2.0-or-later
/* What the builder can lower. Each answer here has its place in build_*.c, and the reverse. */
#include "lower.h"
#include "setindex.h"

static bool no(const char **why, const char *words)
{
	*why = words;
	return false;
}

/* "meta skuid" and the like. */
static const char *key_words_of(enum expr_kind kind, uint32_t key)
{
	static const struct {
		enum expr_kind kind;
		uint32_t key;
		const char *words;
	} keys[] = {
#define WORDS_META			   "meta "
#define WORDS_CT			   "ct "
#define WORDS_RT			   "rt "
#define WORDS_SOCKET			   "socket "
#define WORDS_XFRM			   "ipsec "
#define WORDS_TUNNEL			   "tunnel "
#define K(expr, num, id, name, order, len) { EX_##expr, num, WORDS_##expr name },
#include "regkeys.def"
#undef K
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == kind && keys[i].key == key)
			return keys[i].words;
	return expr_kind_name(kind);
}

static bool can_meta(const struct expr *e, const char **why)
{
	if (e->meta.dreg == REG_NONE)
		return no(why, "setting metadata of the packet");
	switch (e->meta.key) {
	case KEY_META_LEN:
	case KEY_META_PROTOCOL:
	case KEY_META_PRIORITY:
	case KEY_META_MARK:
	case KEY_META_SECMARK:
	case KEY_META_NFPROTO:
	case KEY_META_L4PROTO:
	case KEY_META_IIF:
	case KEY_META_OIF:
	case KEY_META_IIFNAME:
	case KEY_META_OIFNAME:
	case KEY_META_IIFTYPE:
	case KEY_META_OIFTYPE:
	case KEY_META_IIFGROUP:
	case KEY_META_OIFGROUP:
	case KEY_META_PKTTYPE:
	case KEY_META_SKUID:
	case KEY_META_SKGID:
	case KEY_META_CGROUP:
	case KEY_META_RTCLASSID:
	case KEY_META_CPU:
	case KEY_META_PRANDOM:
	case KEY_META_SECPATH:
	case KEY_META_SDIF:
	case KEY_META_IIFKIND:
	case KEY_META_OIFKIND:
	case KEY_META_TIME:
	case KEY_META_HOUR:
	case KEY_META_DAY:
	case KEY_META_SDIFNAME:
		return true;
	default:
		return no(why, key_words_of(EX_META, e->meta.key));
	}
}

static bool can_ct(const struct expr *e, const char **why)
{
	if (e->ct.dreg == REG_NONE)
		return no(why, "setting a property of the connection");
	switch (e->ct.key) {
	case KEY_CT_STATE:
	case KEY_CT_DIRECTION:
	case KEY_CT_STATUS:
	case KEY_CT_MARK:
	case KEY_CT_SECMARK:
	case KEY_CT_L3PROTOCOL:
	case KEY_CT_PROTOCOL:
	case KEY_CT_ZONE:
	case KEY_CT_SRC:
	case KEY_CT_DST:
	case KEY_CT_SRC_IP:
	case KEY_CT_DST_IP:
	case KEY_CT_SRC_IP6:
	case KEY_CT_DST_IP6:
	case KEY_CT_PROTO_SRC:
	case KEY_CT_PROTO_DST:
	case KEY_CT_EXPIRATION:
	case KEY_CT_HELPER:
	case KEY_CT_LABEL:
	case KEY_CT_PACKETS:
	case KEY_CT_BYTES:
	case KEY_CT_AVGPKT:
		return true;
	default:
		return no(why, key_words_of(EX_CT, e->ct.key));
	}
}

static bool can_payload(const struct expr *e, const char **why)
{
	if (e->payload.dreg == REG_NONE)
		return no(why, "writing to the packet");
	switch (e->payload.base) {
	case PB_NETWORK:
	case PB_TRANSPORT:
	case PB_LL:
	case PB_INNER:
		return true;
	default:
		return no(why, "headers of a tunnelled packet");
	}
}

static bool can_inner(const struct expr *e, const char **why)
{
	const struct expr *in = e->inner.expr;

	if (in->kind == EX_META && in->meta.dreg != REG_NONE &&
	    (in->meta.key == KEY_META_PROTOCOL || in->meta.key == KEY_META_L4PROTO))
		return true;
	if (in->kind == EX_PAYLOAD && in->payload.dreg != REG_NONE && in->payload.base != PB_INNER)
		return true;
	return no(why, "such a read of a tunnelled packet");
}

static bool can_exthdr(const struct expr *e, const char **why)
{
	if (e->exthdr.dreg == REG_NONE)
		return no(why, "writing to the packet");
	switch (e->exthdr.op) {
	case XH_IPV6:
	case XH_TCPOPT:
	case XH_SCTP:
		return true;
	case XH_IPV4: /* record route, source routes, router alert: no kernel takes others */
		return e->exthdr.type == 7 || e->exthdr.type == 131 || e->exthdr.type == 137 ||
		       e->exthdr.type == 148 || no(why, "such an option of IPv4");
	case XH_DCCP:
		return e->exthdr.flags & 1 || no(why, "fields of an option of DCCP");
	default:
		return no(why, "such a header");
	}
}

/* At other hooks nf_tables looks for a socket where the packet has none. */
static bool can_socket(const struct expr *e, const struct chain *base, const char **why)
{
	if (e->socket.key > KEY_SOCKET_WILDCARD)
		return no(why, key_words_of(EX_SOCKET, e->socket.key));
	return (base && base->hook == HOOK_OUTPUT) ||
	       no(why, "looking up the socket that a packet is for");
}

static bool can_rt(const struct expr *e, const char **why)
{
	switch (e->rt.key) {
	case KEY_RT_CLASSID:
	case KEY_RT_NEXTHOP4:
	case KEY_RT_NEXTHOP6:
	case KEY_RT_IPSEC:
		return true;
	default:
		return no(why, key_words_of(EX_RT, e->rt.key));
	}
}

static bool can_hash(const struct expr *e, const char **why)
{
	if (e->hash.sreg == REG_NONE)
		return no(why, "symhash");
	return e->hash.has_seed || no(why, "jhash with a seed of the kernel's choice");
}

static bool can_bitwise(const struct expr *e, const char **why)
{
	uint64_t count;

	if (e->bitwise.op != BW_LSHIFT && e->bitwise.op != BW_RSHIFT)
		return true;
	count = bdata_mem(&e->bitwise.data, 0, 4);
	return (count > 0 && count < 32) || no(why, "a shift by 32 bits and more");
}

static bool can_byteorder(const struct expr *e, const char **why)
{
	uint32_t len = e->byteorder.len, size = e->byteorder.size;

	if (size == 8 ? len == 8 : (size == 2 || size == 4) && len && len % size == 0)
		return true;
	return no(why, "a change of byte order of several numbers");
}

static bool can_stateful(const struct expr *e, const char **why)
{
	switch (e->kind) {
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_LAST:
		return true;
	default:
		return no(why, expr_kind_name(e->kind));
	}
}

/* Asked once: it costs as much as making the index. */
static bool has_index(const struct set *s, const char **why)
{
	struct set *note = (struct set *)s;

	if (!s->index_known) {
		note->index_why = setindex_check(s);
		note->index_known = true;
	}
	return !s->index_why || no(why, s->index_why);
}

bool build_can_lower_set(const struct set *s, const char **why)
{
	if (s->key_len > DATA_MAX || s->data_len > DATA_MAX)
		return no(why, "a set with such long keys");
	if (setindex_is_for(s) &&
	    (set_is_large(s) || !(s->flags & (SET_ANONYMOUS | SET_CONSTANT))) && !has_index(s, why))
		return false;
	if (s->flags & SET_OBJECT)
		vec_foreach(&s->table->objs, o)
			if ((*o)->type == s->obj_type && !build_can_lower_obj(*o, why))
				return false;
	if (s->states_differ)
		return no(why, "a set whose elements keep different states");
	for (uint32_t i = 0; i < s->n_states; i++)
		if (!can_stateful(s->states[i], why))
			return false;
	vec_foreach(&s->elems, it) {
		const struct set_elem *el = *it;

		if (s->is_vmap && el->verdict.code == V_QUEUE)
			return no(why, "queue");
	}
	return true;
}

bool build_can_lower_obj(const struct obj *o, const char **why)
{
	if (!o->expr)
		return no(why, "an object that only the kernel runs");
	return can_stateful(o->expr, why);
}

static bool can_dynset(const struct expr *e, const char **why)
{
	if (e->dynset.set->is_vmap)
		return no(why, "adding to a verdict map");
	if (!set_takes_dynset(e->dynset.set))
		return no(why, "adding to a set of ranges or objects");
	for (uint32_t i = 0; i < e->dynset.n_exprs; i++)
		if (!can_stateful(e->dynset.exprs[i], why))
			return false;
	return build_can_lower_set(e->dynset.set, why);
}

static bool can_objmap(const struct set *s, const char **why)
{
	vec_foreach(&s->table->objs, o)
		if ((*o)->type == s->obj_type)
			return build_can_lower_set(s, why);
	return no(why, "a map of objects that the table does not have");
}

bool build_can_lower(const struct expr *e, const struct chain *base, const char **why)
{
	switch (e->kind) {
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT || e->imm.verdict.code != V_QUEUE ||
		       no(why, "queue");
	case EX_CMP:
	case EX_RANGE:
	case EX_XTNEED:
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_LAST:
	case EX_NUMGEN:
		return true;
	case EX_BITWISE:
		return can_bitwise(e, why);
	case EX_BYTEORDER:
		return can_byteorder(e, why);
	case EX_PAYLOAD:
		return can_payload(e, why);
	case EX_EXTHDR:
		return can_exthdr(e, why);
	case EX_INNER:
		return can_inner(e, why);
	case EX_XFRM:
		return (e->xfrm.key >= KEY_XFRM_DADDR4 && e->xfrm.key <= KEY_XFRM_SPI) ||
		       no(why, key_words_of(EX_XFRM, e->xfrm.key));
	case EX_HASH:
		return can_hash(e, why);
	case EX_META:
		return can_meta(e, why);
	case EX_CT:
		return can_ct(e, why);
	case EX_LOOKUP:
		return build_can_lower_set(e->lookup.set, why);
	case EX_DYNSET:
		return can_dynset(e, why);
	case EX_OBJREF:
		if (!e->objref.obj)
			return can_objmap(e->objref.set, why);
		return build_can_lower_obj(e->objref.obj, why);
	case EX_RT:
		return can_rt(e, why);
	case EX_SOCKET:
		return can_socket(e, base, why);
	default:
		return no(why, expr_kind_name(e->kind));
	}
}
