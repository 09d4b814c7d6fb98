// SPDX-License-Identifier: GPL-2.0-or-later
/* pset: sets, maps and their elements as nft text. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "print.h"

struct etype {
	uint32_t t;
	bool host;
	uint32_t len;	/* bytes, unpadded */
	uint32_t shift; /* of a bit field that stands higher in its bytes */
};

static bool decl_types(const char *decl, struct etype *ty, uint32_t n)
{
	char word[64];
	uint32_t i;
	size_t len;

	for (i = 0; decl && i < n; i++) {
		const char *dot = strstr(decl, " . ");

		len = dot ? (size_t)(dot - decl) : strlen(decl);
		if (len >= sizeof(word))
			return false;
		memcpy(word, decl, len);
		word[len] = 0;
		ty[i].t = pv_decl_type(word, &ty[i].host, &ty[i].len);
		if (ty[i].t == TYPE_INVALID || !strcmp(word, "integer")) {
			bool host = false;
			uint32_t t = pl_typeof(word, &host);

			if (t != TYPE_INVALID)
				ty[i].t = t, ty[i].host = host;
		}
		decl = dot ? dot + 3 : NULL;
	}
	return i == n && !decl;
}

/*
 * Types of the key's fields: from the rule's values, else from the declaration, else from nft's
 * numbers.
 */
static bool key_types(const struct set *s, struct pval **key, uint32_t n_key, struct etype *ty)
{
	uint32_t n = s->n_fields ? s->n_fields : 1, i;
	bool ok = true;

	if (n > 16)
		return false;
	if (n_key == n) {
		for (i = 0; i < n; i++) {
			ty[i].t = pl_value_type(key[i]);
			ty[i].host = pl_in_host_order(key[i]);
			if (key[i]->field && key[i]->n_ops == 1)
				ty[i].shift = key[i]->shift;
		}
	} else if (!decl_types(s->key_typeof, ty, n) && !decl_types(s->key_decl, ty, n)) {
		for (i = 0; i < n; i++)
			ty[i].t = pv_number_type(s->key_type >> (n - 1 - i) * 6 & 63, &ty[i].host);
	}
	if (n_key != n && n == 1 && ty[0].t == TYPE_INTEGER && s->key_order)
		ty[0].host = s->key_order == ORDER_HOST;
	for (i = 0; i < n; i++) {
		ty[i].len = n == 1 ? s->key_len : s->field_len[i];
		if (n_key != n && s->flags & SET_INTERVAL && ty[i].t != TYPE_IFNAME)
			ty[i].host = false; /* intervals are kept in network order */
		if (ty[i].t == TYPE_STRING && ty[i].len > 16)
			ok = false;
		ok = ok && ty[i].t != TYPE_INVALID;
	}
	return ok;
}

/* One field of an element: value, prefix or range. */
static bool elem_field(const struct fb_print_opts *o, const struct etype *ty, const uint8_t *a,
		       const uint8_t *b, bool interval, struct sbuf *out)
{
	uint32_t i, len = ty->len;
	uint8_t mask[DATA_MAX] = { 0 };
	int plen;

	if (ty->shift) {
		bool range = interval && memcmp(a, b, len) != 0;
		uint32_t how = pv_how(o) | (range ? PV_NUMBERS : 0);

		pv_value(out, how, ty->t, pv_number(a, len, false) >> ty->shift, len);
		if (range) {
			sb_puts(out, "-");
			pv_value(out, how, ty->t, pv_number(b, len, false) >> ty->shift, len);
		}
		return true;
	}
	if (!interval || !memcmp(a, b, len)) {
		if (type_is_flags(ty->t)) {
			uint64_t v = pv_number(a, len, ty->host);

			pv_flags(out, ty->t, v, " | ");
		} else {
			pv_data(out, pv_how(o), ty->t, ty->host, a, len);
		}
		return true;
	}
	for (i = 0; i < len; i++)
		mask[i] = ~(a[i] ^ b[i]);
	plen = pv_prefix_len(mask, len);
	for (i = 0; plen >= 0 && i < len; i++)
		if (a[i] & ~mask[i])
			plen = -1;
	if (ty->t == TYPE_IFNAME) {
		if (plen < 0 || plen % 8)
			return false;
		pv_data(out, pv_how(o), ty->t, ty->host, a, (uint32_t)plen / 8);
		return true;
	}
	pv_data(out, pv_how(o) | PV_NUMBERS, ty->t, ty->host, a, len);
	if (plen >= 0 && (ty->t == TYPE_IPADDR || ty->t == TYPE_IP6ADDR)) {
		sb_printf(out, "/%d", plen);
		return true;
	}
	sb_puts(out, "-");
	pv_data(out, pv_how(o) | PV_NUMBERS, ty->t, ty->host, b, len);
	return true;
}

static bool elem_key(const struct fb_print_opts *o, const struct set *s, const struct etype *ty,
		     const struct set_elem *el, struct sbuf *out)
{
	uint32_t n = s->n_fields ? s->n_fields : 1, i, off = 0;
	bool interval = el->key_end.len != 0;

	if (el->catchall) {
		sb_puts(out, "*");
		return true;
	}
	for (i = 0; i < n; i++) {
		sb_puts(out, i ? " . " : "");
		if (!elem_field(o, &ty[i], el->key.b + off, el->key_end.b + off, interval, out))
			return false;
		off += ALIGN_UP(ty[i].len, 4u);
	}
	return true;
}

/* Types of a map's values, by field; *interval: each value is a first and a last one. */
static bool data_types(const struct set *s, const struct pval *data, struct etype *ty, uint32_t *n,
		       bool *interval)
{
	const char *p = s->data_decl ? s->data_decl : s->data_typeof;
	struct etype said[16];
	uint32_t i, sum = 0;

	for (*n = 1; p && (p = strstr(p, " . ")); p += 3)
		++*n;
	if (*n > ARRAY_SIZE(said))
		return false;
	memset(said, 0, sizeof(said));
	if (!decl_types(s->data_decl, ty, *n)) {
		if (*n > 1)
			return false;
		ty[0].t = pv_number_type(s->data_type, &ty[0].host);
	}
	if (decl_types(s->data_typeof, said, *n))
		for (i = 0; i < *n; i++) {
			ty[i].t = said[i].t;
			ty[i].host = said[i].host;
		}
	if (*n == 1 && ty[0].t == TYPE_INTEGER && s->data_order)
		ty[0].host = s->data_order == ORDER_HOST;
	else if (data && *n == 1 && ty[0].t == TYPE_INTEGER)
		ty[0].host = data->host;
	for (i = 0; i < *n; i++)
		sum += ALIGN_UP(ty[i].len, 4u);
	*interval = sum && s->data_len == 2 * sum;
	if (*n == 1 && !*interval)
		ty[0].len = s->data_len;
	return true;
}

/* A value of a map of address intervals: one address is a prefix, too. */
static bool data_prefix(const struct etype *ty, uint32_t n_fields, bool interval,
			const struct set_elem *el, uint32_t off, uint32_t half, struct sbuf *out)
{
	if (!interval || n_fields > 1 || (ty->t != TYPE_IPADDR && ty->t != TYPE_IP6ADDR) ||
	    memcmp(el->data.b + off, el->data.b + off + half, ty->len) != 0)
		return false;
	pv_data(out, 0, ty->t, ty->host, el->data.b + off, ty->len);
	sb_printf(out, "/%u", ty->len * 8);
	return true;
}

static bool elem_data(const struct fb_print_opts *o, const struct set *s, const struct set_elem *el,
		      struct pval *data, struct sbuf *out)
{
	struct etype ty[16] = { 0 };
	uint32_t n = 1, i, off = 0, half;
	bool interval;

	if (!(s->flags & (SET_MAP | SET_OBJECT)))
		return true;
	sb_puts(out, " : ");
	if (s->is_vmap) {
		ps_verdict(o, el->verdict, out);
		return true;
	}
	if (s->flags & SET_OBJECT) {
		if (!el->obj)
			return false;
		pv_string(out, el->obj->name);
		return true;
	}
	if (!data_types(s, data, ty, &n, &interval))
		return false;
	half = interval ? el->data.len / 2u : 0;
	for (i = 0; i < n; i++) {
		if (ty[i].t == TYPE_INVALID || !ty[i].len || half + off + ty[i].len > el->data.len)
			return false;
		sb_puts(out, i ? " . " : "");
		if (o->listing && data_prefix(&ty[i], n, interval, el, off, half, out))
			;
		else if (!elem_field(o, &ty[i], el->data.b + off, el->data.b + off + half, interval,
				     out))
			return false;
		off += ALIGN_UP(ty[i].len, 4u);
	}
	return true;
}

/* "interval " where the values of a map are intervals. */
static const char *data_interval(const struct set *s)
{
	struct etype ty[16] = { 0 };
	bool interval;
	uint32_t n;

	if (s->is_vmap || s->flags & SET_OBJECT || !data_types(s, NULL, ty, &n, &interval))
		return "";
	return interval ? "interval " : "";
}

static bool elem_text(const struct set *s, const struct etype *ty, const struct set_elem *el,
		      const struct fb_print_opts *o, struct pval *data, struct sbuf *out)
{
	uint32_t i;

	if (!elem_key(o, s, ty, el, out))
		return false;
	for (i = 0; i < el->n_exprs; i++) {
		sb_puts(out, " ");
		ps_stateful(el->exprs[i], o, out);
	}
	if (el->has_timeout && !(o->listing && el->timeout == s->timeout)) {
		sb_puts(out, " timeout ");
		pv_time(out, el->timeout);
	}
	if (el->expires) {
		sb_puts(out, " expires ");
		pv_time(out, el->expires);
	}
	if (el->comment) {
		sb_puts(out, " comment ");
		pv_string(out, el->comment);
	}
	return elem_data(o, s, el, data, out);
}

/* -- in which order and on which lines, as nft lists them -------------------------------------- */

struct sorted {
	struct set_elem *el;
	uint32_t at;	       /* where it stands, or in which order it was added */
	uint8_t key[DATA_MAX]; /* numbers with their most significant byte first */
};

/* nft sorts them by the lowest one. */
static bool of_flags(const struct set *s, const struct etype *ty)
{
	return s->n_fields <= 1 && type_is_flags(ty->t);
}

/*
 * Of keys of one or two bytes and nothing else the kernel makes a bitmap, and keeps the order they
 * were added in.
 */
static bool keeps_order(const struct set *s)
{
	return s->key_len <= 2 &&
	       !(s->flags & (SET_MAP | SET_OBJECT | SET_TIMEOUT | SET_EVAL | SET_INTERVAL));
}

static void sort_key(const struct set *s, const struct etype *ty, bool listing, struct sorted *x)
{
	uint32_t n = s->n_fields ? s->n_fields : 1, off = 0;

	if (of_flags(s, ty)) {
		uint64_t v = pv_number(x->el->key.b, x->el->key.len, ty->host);

		if (keeps_order(s))
			x->at = x->el->added;
		x->key[0] = v && listing ? (uint8_t)__builtin_ctzll(v) + 1 : 0;
		return;
	}
	for (uint32_t i = 0; i < n && off < DATA_MAX; i++) {
		uint32_t len = MIN(ty[i].len, DATA_MAX - off), k;
		bool text = ty[i].t == TYPE_IFNAME || ty[i].t == TYPE_STRING;
		bool turn = ty[i].host &&
			    (n > 1 || !text); /* in concatenations names are numbers */

		for (k = 0; k < len; k++)
			x->key[off + k] = x->el->key.b[off + (turn ? len - 1 - k : k)];
		off += ALIGN_UP(ty[i].len, 4u);
	}
}

static int sorted_cmp(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int c = memcmp(x->key, y->key, sizeof(x->key));

	if (x->el->catchall != y->el->catchall)
		return x->el->catchall ? 1 : -1;
	return c ? c : x->at < y->at ? -1 : 1;
}

static struct set_elem **sorted_elems(const struct set *s, const struct etype *ty, bool listing,
				      struct arena *a)
{
	struct set_elem **out = arena_array(a, struct set_elem *, s->elems.n + 1);
	struct sorted *v = arena_array(a, struct sorted, s->elems.n + 1);

	for (uint32_t i = 0; i < s->elems.n; i++) {
		v[i] = (struct sorted){ .el = s->elems.v[i], .at = i };
		sort_key(s, ty, listing, &v[i]);
	}
	if (s->elems.n)
		qsort(v, s->elems.n, sizeof(*v), sorted_cmp);
	for (uint32_t i = 0; i < s->elems.n; i++)
		out[i] = v[i].el;
	return out;
}

/* How many elements of a type stand on a line. */
static uint32_t per_line(const struct set *s, const struct etype *ty)
{
	if (s->n_fields > 1 || s->flags & (SET_MAP | SET_OBJECT))
		return 1;
	vec_foreach(&s->elems, el)
		if ((*el)->n_exprs || (*el)->has_timeout || (*el)->expires || (*el)->comment)
			return 1;
	switch (ty->t) {
	case TYPE_NFPROTO:
	case TYPE_INTEGER:
	case TYPE_MPTCP_SUBTYPE:
	case TYPE_ARPOP:
	case TYPE_INET_PROTO:
	case TYPE_INET_SERVICE:
	case TYPE_TCP_FLAG:
	case TYPE_DCCP_PKTTYPE:
	case TYPE_MARK:
	case TYPE_IFINDEX:
	case TYPE_CLASSID:
	case TYPE_UID:
	case TYPE_GID:
	case TYPE_CT_DIR:
		return 5;
	case TYPE_IPADDR:
	case TYPE_CT_STATE:
	case TYPE_CT_STATUS:
	case TYPE_PKTTYPE:
		return 2;
	default:
		return 1;
	}
}

/* A set of one element, which a reader takes for that element. */
static bool is_lone(const struct set *s)
{
	const struct set_elem *el = s->elems.n == 1 ? s->elems.v[0] : NULL;

	return el && s->flags & SET_ANONYMOUS && !(s->flags & (SET_MAP | SET_OBJECT)) &&
	       !el->n_exprs && !el->has_timeout && !el->comment;
}

bool pe_elems(const struct set *s, const struct fb_print_opts *o, struct pval **key, uint32_t n_key,
	      struct pval *data, struct sbuf *out)
{
	struct etype ty[16];
	struct set_elem **v = s->elems.v;
	uint32_t line;

	memset(ty, 0, sizeof(ty));
	if (!key_types(s, key, n_key, ty))
		return false;
	line = o->listing && !(s->flags & SET_ANONYMOUS) ? per_line(s, ty) : UINT32_MAX;
	if ((of_flags(s, ty) && keeps_order(s)) ||
	    (o->listing && !(s->flags & SET_INTERVAL && s->n_fields > 1)))
		v = sorted_elems(s, ty, o->listing, out->arena);
	sb_puts(out, "{ ");
	for (uint32_t i = 0; i < s->elems.n; i++) {
		if (i)
			sb_puts(out, i % line ? ", " : ",\n\t\t\t     ");
		if (!elem_text(s, ty, v[i], o, data, out))
			return false;
	}
	if (o->keep_sets && is_lone(s)) {
		sb_puts(out, ", ");
		elem_text(s, ty, v[0], o, data, out);
	}
	sb_puts(out, " }");
	return s->elems.n;
}

static bool set_flags(const struct set *s, struct sbuf *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { { SET_CONSTANT, "constant" },
		      { SET_EVAL, "dynamic" },
		      { SET_INTERVAL, "interval" },
		      { SET_TIMEOUT, "timeout" } };
	uint32_t flags = s->timeout ? s->flags & ~(uint32_t)SET_TIMEOUT : s->flags, i;
	bool any = false;

	for (i = 0; flags & (SET_CONSTANT | SET_EVAL | SET_INTERVAL | SET_TIMEOUT) &&
		    i < ARRAY_SIZE(names);
	     i++)
		if (s->flags & names[i].bit) {
			sb_printf(out, "%s%s", any ? "," : "\t\tflags ", names[i].name);
			any = true;
		}
	if (any)
		sb_puts(out, "\n");
	return true;
}

static void set_exprs(const struct set *s, struct sbuf *out)
{
	static const struct fb_print_opts zero = { .zero = true };

	for (uint32_t i = 0; i < s->n_exprs; i++) {
		sb_puts(out, i ? " " : "\t\t");
		ps_stateful(s->exprs[i], &zero, out);
	}
	if (s->n_exprs)
		sb_puts(out, "\n");
}

/* Types whose name alone does not tell their length. */
static bool is_qualified(const char *decl)
{
	static const char *const vague[] = { "integer", "string", "bitmask" };

	for (size_t i = 0; i < ARRAY_SIZE(vague); i++) {
		const char *at = strstr(decl, vague[i]);
		size_t len = strlen(vague[i]);

		if (at && (at == decl || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return false;
	}
	return true;
}

/* What newer kernels let nft say beside the size. */
static const char *count_note(const struct set *s, struct sbuf *out)
{
	return s->elems.n ? arena_printf(out->arena, "\t# count %u", s->elems.n) : "";
}

static bool print_set(const struct set *s, const struct fb_print_opts *o, struct sbuf *out)
{
	bool map = s->flags & (SET_MAP | SET_OBJECT);

	sb_printf(out, "\t%s ", map ? "map" : "set");
	fb_print_name(s->name, out);
	sb_puts(out, " {\n");
	if (s->key_typeof)
		sb_printf(out, "\t\ttypeof %s", s->key_typeof);
	else if (s->key_decl && is_qualified(s->key_decl))
		sb_printf(out, "\t\ttype %s", s->key_decl);
	else
		return false;
	if (map) {
		const char *data = s->key_typeof && s->data_typeof ? s->data_typeof : s->data_decl;

		if (!data || (data == s->data_decl && !is_qualified(data)))
			return false;
		sb_printf(out, " : %s%s", data_interval(s), data);
	}
	sb_puts(out, "\n");
	if (s->has_policy && s->policy == NFT_SET_POL_MEMORY)
		sb_puts(out, "\t\tpolicy memory\n");
	if (s->has_size || (o->listing && s->size))
		sb_printf(out, "\t\tsize %u%s\n", s->size, o->listing ? count_note(s, out) : "");
	set_flags(s, out);
	set_exprs(s, out);
	if (s->auto_merge && (s->n_fields <= 1 || !o->listing))
		sb_puts(out, "\t\tauto-merge\n");
	if (s->timeout) {
		sb_puts(out, "\t\ttimeout ");
		pv_time(out, s->timeout);
		sb_puts(out, "\n");
	}
	if (s->gc_int) {
		sb_puts(out, "\t\tgc-interval ");
		pv_time(out, s->gc_int);
		sb_puts(out, "\n");
	}
	if (s->comment)
		sb_printf(out, "\t\tcomment \"%s\"\n", s->comment);
	if (s->elems.n && o->elements && !s->left_out) {
		sb_puts(out, "\t\telements = ");
		if (!pe_elems(s, o, NULL, 0, NULL, out))
			return false;
		sb_puts(out, "\n");
	}
	sb_puts(out, "\t}\n");
	return true;
}

bool fb_print_set(const struct set *s, const struct fb_print_opts *o, struct sbuf *out)
{
	size_t start = out->n;

	return print_set(s, o, out) && text_is_clean(out->s + start, out->n - start);
}
