// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * roundtrip FILE...: each ruleset is read, printed as nft text, and read again; both readings must
 * have the same expressions. So must what is read of the netlink messages that make it, unless it
 * has something that cannot be written so. Prints TAP. FILE.nl is a netlink stream. roundtrip -p
 * FILE: only prints the text. roundtrip -l FILE: hands it to this network namespace's kernel, as
 * messages.
 */
#include <stdlib.h>

#include "fallback.h"
#include "frontend.h"
#include "nlwrite.h"

static char *exprs(const struct ruleset *rs)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		BUG("no memory for a stream");
	ruleset_print_exprs(rs, f);
	fclose(f);
	return text;
}

/* Shows the first line in which the texts differ. */
static void show(const char *a, const char *b)
{
	for (int line = 1;; line++) {
		int la = (int)strcspn(a, "\n"), lb = (int)strcspn(b, "\n");

		if (la != lb || memcmp(a, b, (size_t)la)) {
			printf("# line %d read:  %.*s\n# line %d again: %.*s\n", line, la, a, line,
			       lb, b);
			return;
		}
		if (!a[la] || !b[lb])
			return;
		a += la + 1;
		b += lb + 1;
	}
}

static bool same_exprs(const struct ruleset *x, const struct ruleset *y)
{
	char *one = exprs(x), *two = exprs(y);
	bool ok = !strcmp(one, two);

	if (!ok)
		show(one, two);
	free(one);
	free(two);
	return ok;
}

/*
 * Messages list the fields of ranges alone; of others they are known where every field's type has a
 * length.
 */
static bool fields_told(const struct set *s)
{
	for (uint32_t type = s->key_type; type; type >>= 6)
		if (!datatype_len(type & 63))
			return s->flags & SET_CONCAT;
	return true;
}

/*
 * The kernel says the level "warn" of every log, so that what is read of messages has none where
 * text says this one.
 */
static void as_dumped(struct ruleset *rs)
{
	vec_foreach(&rs->tables, t) {
		vec_foreach(&(*t)->sets, s)
			if ((*s)->n_fields > 1 && !fields_told(*s))
				(*s)->n_fields = 1;
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r)
				vec_foreach(&(*r)->exprs, e)
					if ((*e)->kind == EX_LOG && (*e)->log.level == 4)
						(*e)->log.has_level = false;
	}
}

/* Changes rs: what it is compared with comes from messages. */
static bool same_written(struct arena *a, struct diag *d, struct ruleset *rs)
{
	struct ruleset *again;
	struct diag ignored;
	struct nlw w;

	diag_init(&ignored, a);
	nlw_begin(&w, a, &ignored);
	if (!nlw_ruleset(&w, rs))
		return true;
	nlw_end(&w, true);
	as_dumped(rs);
	again = frontend_read_netlink(a, d, "written.nl", w.out.s, w.out.n);
	return again && !d->errors && same_exprs(rs, again);
}

static bool same(struct arena *a, struct diag *d, const struct ruleset *rs)
{
	static const struct fb_print_opts all = { .elements = true };
	struct ruleset *again;
	struct sbuf text;

	sb_init(&text, a);
	if (!fb_print_ruleset(rs, &all, &text)) {
		printf("# something has no words\n");
		return false;
	}
	again = frontend_read_buffer(a, d, "printed.nft", text.s, text.n);
	if (!again || d->errors)
		return false;
	return same_exprs(rs, again);
}

static struct ruleset *read_stream(struct arena *a, struct diag *d, const char *path)
{
	static char buf[1 << 24];
	FILE *f = fopen(path, "rb");
	size_t len = f ? fread(buf, 1, sizeof(buf), f) : 0;

	if (!f)
		return NULL;
	fclose(f);
	return frontend_read_netlink(a, d, path, arena_dup(a, buf, len), len);
}

static struct ruleset *read_any(struct arena *a, struct diag *d, const char *path)
{
	static const struct parse_opts none;
	size_t n = strlen(path);

	if (n > 3 && !strcmp(path + n - 3, ".nl"))
		return read_stream(a, d, path);
	return frontend_read_text(a, d, path, &none);
}

static int print(const char *path)
{
	static const struct fb_print_opts all = { .elements = true };
	struct arena *a = arena_new();
	struct ruleset *rs;
	struct sbuf text;
	struct diag d;
	bool ok;

	diag_init(&d, a);
	rs = read_any(a, &d, path);
	sb_init(&text, a);
	ok = rs && !d.errors && fb_print_ruleset(rs, &all, &text);
	fputs(ok ? text.s : "# something has no words\n", stdout);
	diag_flush(&d, stderr);
	arena_free(a);
	return !ok;
}

static int load(const char *path)
{
	struct arena *a = arena_new();
	struct ruleset *rs;
	uint32_t seq = 0;
	struct diag d;
	struct nlw w;
	int err = -1;

	diag_init(&d, a);
	rs = read_any(a, &d, path);
	nlw_begin(&w, a, &d);
	if (rs && !d.errors && nlw_ruleset(&w, rs)) {
		nlw_end(&w, true);
		err = nlw_send(&w, &seq);
	}
	if (err > 0)
		fprintf(stderr, "nf_tables refuses %s: %s\n", nlw_what(&w, seq) ?: "it",
			strerror(err));
	diag_flush(&d, stderr);
	arena_free(a);
	return err != 0;
}

static bool test(const char *path)
{
	struct arena *a = arena_new();
	struct ruleset *rs;
	struct diag d;
	bool ok;

	diag_init(&d, a);
	rs = read_any(a, &d, path);
	ok = rs && !d.errors && same(a, &d, rs) && same_written(a, &d, rs);
	diag_flush(&d, stderr);
	arena_free(a);
	return ok;
}

int main(int argc, char **argv)
{
	int bad = 0;

	if (argc == 3 && !strcmp(argv[1], "-p"))
		return print(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "-l"))
		return load(argv[2]);
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		bool ok = test(argv[i]);

		printf("%sok %d - %s\n", ok ? "" : "not ", i, argv[i]);
		bad |= !ok;
	}
	return bad;
}
