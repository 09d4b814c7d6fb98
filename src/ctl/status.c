// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpfctl status: what is loaded, on which hooks, how large, what runs where. */
#include <bpf/bpf.h>
#include <errno.h>
#include <jansson.h>
#include <unistd.h>

#include "ctl.h"

struct prog_status {
	const struct mf_prog *mf;
	bool attached;
	int32_t prio;	       /* of the link */
	uint32_t insns, jited; /* instructions after the verifier, bytes of machine code */
};

/*
 * As struct bpf_link_info for a netfilter link: linux/bpf.h of older distributions does not have
 * it.
 */
struct link_info {
	uint32_t type, id, prog_id;
	uint32_t pad;
	uint32_t pf, hooknum;
	int32_t priority;
	uint32_t flags;
	uint64_t room[8]; /* what newer kernels may say */
};

static void read_prog(struct ctl *c, char gen, const struct mf_prog *p, struct prog_status *s)
{
	struct link_info link = { 0 };
	struct bpf_prog_info prog = { 0 };
	uint32_t len = sizeof(link), plen = sizeof(prog);
	int fd = bpf_obj_get(pins_path(c, gen, "link", p->name));

	s->mf = p;
	if (fd >= 0) {
		s->attached = !bpf_obj_get_info_by_fd(fd, (void *)&link, &len);
		s->prio = link.priority;
		close(fd);
	}
	fd = bpf_obj_get(pins_path(c, gen, "prog", p->name));
	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &prog, &plen);
		s->insns = prog.xlated_prog_len / 8;
		s->jited = prog.jited_prog_len;
		close(fd);
	}
}

struct maps_arg {
	json_t *list;
	uint64_t bytes;
};

static int add_map(struct ctl *c, const char *file, void *arg)
{
	struct maps_arg *a = arg;
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(arena_printf(c->arena, "%s/%s", c->dir, file));
	uint64_t bytes;

	if (fd < 0)
		return 0;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		bytes = (uint64_t)(info.key_size + info.value_size) * info.max_entries;
		a->bytes += bytes;
		json_array_append_new(a->list,
				      json_pack("{ss si si si sI}", "name", file + strlen("a_map_"),
						"key_size", (int)info.key_size, "value_size",
						(int)info.value_size, "max_entries",
						(int)info.max_entries, "bytes", (json_int_t)bytes));
	}
	close(fd);
	return 0;
}

static void count_rules(const struct manifest *m, uint32_t n[4])
{
	static const char *const where[] = { "bpf", "both", "nftables" };

	vec_foreach(&m->rules, r) {
		size_t i = 0;

		while (i < ARRAY_SIZE(where) && strcmp(r->where, where[i]) != 0)
			i++;
		n[i] += r->n;
	}
}

static json_t *status_json(struct ctl *c, char gen, const struct manifest *m)
{
	struct maps_arg maps = { .list = json_array() };
	json_t *progs = json_array(), *asleep = json_array(), *prog;
	uint32_t n[4] = { 0 };

	count_rules(m, n);
	vec_foreach(&m->progs, p) {
		struct prog_status s = { 0 };

		read_prog(c, gen, p, &s);
		prog = json_pack("{ss ss ss si ss ss ss sb sb si si}", "program", p->name, "pf",
				 p->pf, "hook", p->hook, "priority", (int)s.prio, "family",
				 p->family, "table", p->table, "chain", p->chain, "residual",
				 (int)p->residual, "attached", (int)s.attached, "insns",
				 (int)s.insns, "jited_bytes", (int)s.jited);
		if (p->then)
			json_object_set_new(prog, "then", json_string(p->then));
		json_array_append_new(progs, prog);
	}
	pins_each(c, gen, "map", add_map, &maps);
	vec_foreach(&m->asleep, t)
		json_array_append_new(asleep, json_string(*t));
	return json_pack("{ss ss so so s{si si si} sb so}", "name", c->name, "compiler",
			 m->compiler, "programs", progs, "maps", maps.list, "rules", "bpf",
			 (int)n[0], "both", (int)n[1], "nftables", (int)n[2], "fallback",
			 (int)!m->fallback_empty, "asleep", asleep);
}

static void print_status(struct ctl *c, const json_t *j)
{
	json_t *progs = json_object_get(j, "programs"), *maps = json_object_get(j, "maps"), *e;
	json_t *rules = json_object_get(j, "rules");
	size_t i;

#define STR(o, k) json_string_value(json_object_get(o, k))
#define NUM(o, k) ((long long)json_integer_value(json_object_get(o, k)))
	printf("%s: made by %s\n", c->name, STR(j, "compiler"));
	printf("  rules: %lld in bpf, %lld in both, %lld in nftables%s\n", NUM(rules, "bpf"),
	       NUM(rules, "both"), NUM(rules, "nftables"),
	       json_is_true(json_object_get(j, "fallback")) ? "" : " (no fallback)");
	json_array_foreach(progs, i, e)
	{
		const char *then = STR(e, "then");

		printf("  %s %s priority %lld: %s for chain %s %s %s%s%s%s, %lld insns, %lld "
		       "bytes%s\n",
		       STR(e, "pf"), STR(e, "hook"), NUM(e, "priority"), STR(e, "program"),
		       STR(e, "family"), STR(e, "table"), STR(e, "chain"), then ? ", then " : "",
		       then ? then : "",
		       json_is_true(json_object_get(e, "residual")) ? " with a residual chain" : "",
		       NUM(e, "insns"), NUM(e, "jited_bytes"),
		       json_is_true(json_object_get(e, "attached")) ? "" : ", NOT ATTACHED");
	}
	json_array_foreach(maps, i, e)
		printf("  map %s: %lld entries of %lld + %lld bytes\n", STR(e, "name"),
		       NUM(e, "max_entries"), NUM(e, "key_size"), NUM(e, "value_size"));
	json_array_foreach(json_object_get(j, "asleep"), i, e)
		printf("  table %s of nftables sleeps until unload\n", json_string_value(e));
#undef STR
#undef NUM
}

static int status_one(struct ctl *c, const char *name, json_t *all)
{
	struct manifest *m;
	json_t *j;
	char gen;

	pins_set_name(c, name);
	gen = pins_ready(c);
	if (!gen) {
		ctl_note("%s: an earlier command was interrupted; unload or load it again", name);
		return 0;
	}
	m = pins_manifest(c, gen);
	if (!m)
		return 1;
	j = status_json(c, gen, m);
	BUG_ON(!j);
	if (all) {
		json_array_append_new(all, j);
	} else {
		print_status(c, j);
		json_decref(j);
	}
	return 0;
}

int cmd_status(struct ctl *c, int argc, char **argv)
{
	const char **names, *want = NULL;
	json_t *all = NULL;
	bool found = false;
	uint32_t n;
	int err = 0;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			all = all ? all : json_array();
		else if (argv[i][0] == '-' || want)
			return ctl_error("usage: nft2bpfctl status [N] [--json]");
		else
			want = argv[i];
	}
	if (pins_open(c, false))
		return 1;
	n = pins_names(c, &names);
	for (uint32_t i = 0; i < n && !err; i++) {
		if (want && strcmp(want, names[i]) != 0)
			continue;
		found = true;
		err = status_one(c, names[i], all);
	}
	if (want && !found)
		err = ctl_error("%s is not loaded in this network namespace", want);
	if (all) {
		if (!err) {
			json_dumpf(all, stdout, JSON_INDENT(2));
			putchar('\n');
		}
		json_decref(all);
	} else if (!n && !want) {
		puts("nothing is loaded in this network namespace");
	}
	return err;
}
