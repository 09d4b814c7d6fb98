// SPDX-License-Identifier: GPL-2.0-or-later
/* Declarations of sets and maps. */
#include "sema.h"

/* `type a . b` as a key: a value, or a concatenation of values. */
static struct tx *type_key(struct sema *s, struct ast_type *a, const char *what)
{
	struct tx *f[CONCAT_MAX], *t;
	const struct dtype *ft[CONCAT_MAX];
	uint32_t n = a->names.n, len = 0;

	if (n > CONCAT_MAX) {
		diag_error(s->diag, a->loc, "too many concatenation components: at most %d",
			   CONCAT_MAX);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		ft[i] = type_by_name(a->names.v[i]);
		if (!ft[i]) {
			diag_error(s->diag, a->name_locs.v[i], "unknown datatype %s",
				   a->names.v[i]);
			return NULL;
		}
		if (!ft[i]->bits && ft[i]->num != TYPE_VERDICT) {
			diag_error(s->diag, a->name_locs.v[i],
				   "unqualified type %s specified in %s definition. Try \"typeof "
				   "expression\" instead of \"type datatype\"",
				   ft[i]->name, what);
			return NULL;
		}
		f[i] = tx_value(s, a->name_locs.v[i], ft[i], ft[i]->order, ft[i]->bits, 0);
		len += ALIGN_UP(ft[i]->bits, 32u);
	}
	if (n == 1)
		return f[0];
	if (len > DATA_MAX * 8) {
		diag_error(s->diag, a->loc, "concatenation of %u bytes is too long: at most %u",
			   len / 8, DATA_MAX);
		return NULL;
	}
	t = tx_new(s, TX_CONCAT, a->loc);
	t->type = type_concat(s->arena, ft, n);
	t->concat.n = n;
	t->concat.v = arena_dup(s->arena, f, sizeof(*f) * n);
	t->len = len;
	t->order = ORDER_BIG;
	return t;
}

static struct tx *decl_key(struct sema *s, struct ast_type *a, const char *what)
{
	struct tx *t = a->typeof_expr ? ev_typeof(s, a->typeof_expr) : type_key(s, a, what);

	if (!t)
		return NULL;
	if (!t->len && t->type->num != TYPE_VERDICT) {
		diag_error(s->diag, a->loc, "unqualified type %s specified in %s definition",
			   t->type->name, what);
		return NULL;
	}
	return t;
}

static bool decl_data(struct sema *s, struct sset *set, struct ast_set *a)
{
	struct tx *d;

	if (a->obj) {
		set->set.flags |= SET_OBJECT;
		set->set.obj_type = obj_type(a->obj);
		set->set.data_decl = a->obj;
		return true;
	}
	if (!a->data) {
		diag_error(s->diag, a->loc, "map definition does not specify mapping data type");
		return false;
	}
	d = decl_key(s, a->data, "map");
	if (!d)
		return false;
	set_data(set, d->type, d->order, d->len);
	if (d->kind == TX_CONCAT)
		set->data_tx = fields_copy(s, d);
	if (a->data->typeof_expr)
		set->set.data_typeof = ast_text(s->arena, s->diag, a->data->typeof_expr->loc);
	if (a->data->interval) {
		set->data_interval = true;
		set->set.data_len = (uint8_t)(ALIGN_UP(set->set.data_len, 4) * 2);
	}
	return true;
}

static bool decl_props(struct sema *s, struct sset *set, struct ast_set *a)
{
	struct set *st = &set->set;

	st->flags |= a->flags;
	if (a->auto_merge && st->flags & (SET_MAP | SET_OBJECT)) {
		diag_error(s->diag, a->loc, "auto-merge is for sets: a map's elements differ");
		return false;
	}
	if (a->auto_merge && !(a->flags & ASET_INTERVAL)) {
		diag_error(s->diag, a->loc, "auto-merge only works with interval sets");
		return false;
	}
	if ((a->flags & ASET_INTERVAL) && set->key->num == TYPE_CONCAT)
		st->flags |= SET_CONCAT;
	st->timeout = a->has_timeout ? a->timeout : 0;
	if (a->has_timeout && a->timeout)
		st->flags |= SET_TIMEOUT;
	st->gc_int = a->has_gc ? (uint32_t)MIN(a->gc_interval, (uint64_t)UINT32_MAX) : 0;
	st->has_size = a->has_size && a->size; /* 0: any number */
	st->size = a->size;
	st->has_policy = a->policy != NULL;
	st->policy = a->policy && !strcmp(a->policy, "memory");
	st->auto_merge = a->auto_merge;
	st->comment = a->comment;
	if (a->stmts.n) {
		st->exprs = arena_array(s->arena, struct expr *, a->stmts.n);
		st->n_exprs = a->stmts.n;
		for (uint32_t i = 0; i < a->stmts.n; i++) {
			st->exprs[i] = stateful(s, a->stmts.v[i]);
			if (!st->exprs[i])
				return false;
		}
		if (a->stmts.n > 1)
			st->flags |= SET_EXPR;
	}
	return true;
}

bool declare_set(struct sema *s, struct ast_set *a)
{
	const char *what = a->is_map ? "map" : "set";
	struct sset *set = strmap_get(&s->tab->sets, a->name, strlen(a->name));
	struct tx *key;

	if (!a->key) {
		if (set)
			return true;
		diag_error(s->diag, a->loc, "%s definition does not specify key", what);
		return false;
	}
	key = decl_key(s, a->key, what);
	if (!key)
		return false;
	if (set) {
		if (!type_equal(set->key, key->type) ||
		    a->is_map != !!(set->set.flags & (SET_MAP | SET_OBJECT))) {
			diag_error2(s->diag, a->name_loc, set->set.loc,
				    "%s \"%s\" exists already with other types", what, a->name);
			return false;
		}
		return true;
	}
	if (key->type->num == TYPE_VERDICT) {
		diag_error(s->diag, a->key->loc, "a verdict cannot be a key");
		return false;
	}
	set = sset_new(s, s->tab, a->name, a->name_loc);
	set_key(s, set, key);
	if (a->key->typeof_expr)
		set->set.key_typeof = ast_text(s->arena, s->diag, a->key->typeof_expr->loc);
	if (a->is_map && !decl_data(s, set, a))
		return false;
	return decl_props(s, set, a);
}
