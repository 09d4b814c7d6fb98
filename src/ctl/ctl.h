/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl: what the commands of nft2bpfctl share.
 *
 * What is loaded in a network namespace under a name lives in pins below /sys/fs/bpf/nft2bpf/<inode
 * of the namespace>/<name>/. Two generations, a and b, take turns, so that `replace` can make one
 * ready while the other is in force:
 *
 *	<g>_manifest	array map with one value: the manifest's JSON
 *	<g>_map_NAME	maps of the object
 *	<g>_prog_NAME	programs
 *	<g>_link_NAME	links: unlinking one detaches its program
 *	<g>_words	the object's section .data: whether its programs are in force
 *	<g>_ready	the manifest again: there when generation g is whole and in force
 *
 * On the nft side the tables of the manifest are ours while the marker table `inet nft2bpf-<name>`
 * exists: it comes and goes in the same transactions as they do. Its one chain, which no hook
 * calls, says which generation they belong to and in which state they are: "a" or "b", the fallback
 * beside the programs; "a_whole" or "b_whole", the complete original ruleset.
 *
 * Nothing is ever half in force. Where the fallback filters nothing (manifest.fallback_idle) a
 * change is one write to the words that every program tests first (obj.h), pinned as <g>_words,
 * which an object shares with the one that it replaces:
 *
 *	load	none -> attach programs asleep -> fallback(new), idle -> wake them
 *	unload	programs -> put them to sleep -> detach -> none
 *	replace	programs(old) -> attach new ones asleep -> fallback(new) -> change to them ->
 *		detach old ones
 *
 * Every other change passes through the state "whole": the complete original ruleset in nftables,
 * which gives the new verdicts with any number of the programs attached:
 *
 *	load	none -> whole(new) -> attach programs -> fallback(new)
 *	unload	fallback -> whole(old) -> detach programs -> none
 *	replace	fallback(old) -> whole(old) -> detach -> whole(new) -> attach -> fallback(new)
 *
 * Each arrow on the nft side is one transaction; only the generation that the marker names has
 * links. Whoever is killed between two steps leaves a ruleset that filters as the old or the new
 * one, or none; the next command of that name goes on from there.
 */
#ifndef N2B_CTL_H
#define N2B_CTL_H

#include <bpf/libbpf.h>

#include "base.h"
#include "manifest.h"
#include "obj.h"
#include "ruleset.h"

#define CTL_ROOT "/sys/fs/bpf/nft2bpf"

struct ctl {
	struct arena *arena;
	const char *name;    /* of the loaded ruleset; NULL: all */
	const char *home;    /* the namespace's folder below CTL_ROOT */
	const char *dir;     /* home/name; NULL without a name */
	bool replace_tables; /* load: put the tables that the object was compiled from to sleep */
};

/* Prints "nft2bpfctl: ..." on stderr and returns 1: the exit status. */
int ctl_error(const char *fmt, ...) PRINTF(1, 2);
void ctl_note(const char *fmt, ...) PRINTF(1, 2);

/* -- pins.c ------------------------------------------------------------------------------------ */

/*
 * Finds the namespace's folder, makes it if `make`; mounts bpffs where it is missing. 0 or 1 after
 * an error line.
 */
int pins_open(struct ctl *c, bool make);
void pins_set_name(struct ctl *c, const char *name);
bool pins_has(const struct ctl *c, char gen, const char *kind, const char *name);
char *pins_path(const struct ctl *c, char gen, const char *kind, const char *name);
typedef int pins_fn(struct ctl *c, const char *file, void *arg);
/*
 * Calls fn for each file of generation gen whose kind is `kind` ("link", "map" ...), or any kind if
 * NULL.
 */
int pins_each(struct ctl *c, char gen, const char *kind, pins_fn *fn, void *arg);
/* The names loaded in this namespace, sorted. */
uint32_t pins_names(struct ctl *c, const char ***names);
int pins_unlink(struct ctl *c, char gen,
		const char *kind); /* all of a kind; NULL: every pin of the generation */
int pins_write_manifest(struct ctl *c, char gen, const char *json, size_t len);
struct manifest *pins_manifest(
	struct ctl *c, char gen); /* NULL: none there (or unreadable, after an error line) */
int pins_map_fd(struct ctl *c, char gen, const char *map);
char pins_ready(const struct ctl *c); /* 'a', 'b', or 0 */

/* -- object.c ---------------------------------------------------------------------------------- */

struct ctl_obj {
	char gen;    /* that it is to be */
	bool beside; /* attach: only where others of its name are, or next to them; else 2 */
	struct bpf_object *bpf;
	struct manifest *mf;
	const char *json;
	size_t json_len;
};
/*
 * Opens the object, reads its manifest, loads its programs and maps into the kernel, fills in
 * initial values.
 */
int object_load(struct ctl *c, const char *path, char gen, struct ctl_obj *o);
/* Attaches every program and pins links, programs and maps as generation gen. */
int object_attach(struct ctl *c, struct ctl_obj *o, char gen);
/* Links the pinned programs of a generation once more. */
int object_reattach(struct ctl *c, const struct manifest *m, char gen);
void object_close(struct ctl_obj *o);
/*
 * Puts the programs of a generation in force, in the place of another one's that share its words;
 * or puts them to sleep: then they accept everything. One write does it for all of them.
 */
int object_force(struct ctl *c, char gen, bool run);
/* Which generation the words of generation gen say is in force; 0: none. */
char object_in_force(struct ctl *c, char gen);

/* -- map.c ------------------------------------------------------------------------------------- */

/* Reads a value of a per-CPU or plain map of u64s: sums over CPUs for per-CPU ones. 0 or -errno. */
int map_read_u64s(int fd, uint32_t key, uint64_t *v, uint32_t n);
int map_write_u64s(int fd, uint32_t key, const uint64_t *v, uint32_t n);
/* n keys and n values in a row. */
struct map_elems {
	uint32_t key_len, value_len, n;
	uint8_t *keys, *values;
};
/* Puts elements into a map, many with one call. 0 or -errno. */
int map_fill(int fd, const struct map_elems *e);
/* Where maps are: pinned, as generation gen; or, before that, in an object (gen 0). */
struct mapsrc {
	char gen;
	struct bpf_object *o;
};
/* A descriptor to be closed, or -errno. */
int mapsrc_fd(struct ctl *c, const struct mapsrc *from, const char *map);
/* Reads a map's elements, with lengths given, into the arena. 0 or -errno. */
int map_dump(struct ctl *c, int fd, struct map_elems *e);

/* -- nft.c ------------------------------------------------------------------------------------- */

/*
 * Runs one transaction (`nft -f -`; $NFT names another nft), by batch.c where nft does not read it.
 * 0, or 1 after printing why.
 */
int nft_run(struct ctl *c, const char *script);
/* A transaction: commands, then tables. */
struct nft_script {
	struct sbuf s;
	struct ruleset *tables; /* NULL: they are text at the end of s, or there are none */
};
int nft_commit(struct ctl *c, const struct nft_script *s);
int nft_check(struct ctl *c, const struct nft_script *s); /* the same without changing anything */
/*
 * batch.c: the same as netlink messages, for what nft cannot load (extensions of iptables, words
 * that it is too old for) and for large sets. tables: what follows the script, or NULL.
 */
int batch_run(struct ctl *c, const char *script, struct ruleset *tables, bool commit);
bool batch_can(struct ctl *c, const struct ruleset *rs); /* can all of it be said in messages? */
/* What the marker says. */
struct nft_force {
	char gen; /* 0: nothing of ours is in nftables */
	bool whole;
};
/* Asks the kernel. 0, or 1 after printing why it cannot be asked. */
int nft_in_force(struct ctl *c, struct nft_force *f);
/* Parts of transactions. */
void nft_set_marker(const struct ctl *c, char gen, bool whole, struct sbuf *s);
void nft_delete_marker(const struct ctl *c, struct sbuf *s);
void nft_delete_tables(struct ctl *c, const struct manifest *m, struct sbuf *s);
/*
 * The script's tables: the whole ruleset rs, or the manifest's original if NULL, whose left out
 * elements the maps `from` have; base chains that programs stand for without a residual chain one
 * priority later. rs is changed for it.
 */
int nft_whole(struct ctl *c, const struct manifest *m, struct ruleset *rs,
	      const struct mapsrc *from, struct nft_script *s);

/* The original ruleset, read back from the manifest; NULL after error lines. */
struct ruleset *manifest_ruleset(struct ctl *c, const struct manifest *m, struct diag *d);

/* -- aside.c ----------------------------------------------------------------------------------- */

/* What a table of the ruleset is called in nftables; the same for "family table". */
const char *nft_table(struct ctl *c, const struct manifest *m, const char *name);
const char *nft_full_table(struct ctl *c, const struct manifest *m, const char *table);
/*
 * Gives the ruleset's tables these names, and says what does not bear them in other words; adds the
 * fallback with these names.
 */
int nft_rename(struct ctl *c, const struct manifest *m, struct ruleset *rs);
int nft_fallback(struct ctl *c, const struct manifest *m, struct sbuf *s);
/*
 * Decides which tables go aside for an object, in the place of `old` if not NULL; its manifest says
 * so afterwards.
 */
int aside_plan(struct ctl *c, struct ctl_obj *o, const struct manifest *old);
/* Parts of transactions. */
void aside_sleep(const struct manifest *m, const struct manifest *old, struct sbuf *s);
int aside_wake(struct ctl *c, const struct manifest *m, struct sbuf *s);

/* -- live.c ------------------------------------------------------------------------------------ */

/*
 * The ruleset of generation gen, which is in force beside its fallback, with live counters and, if
 * `sets`, elements; NULL after error lines.
 */
struct ruleset *live_ruleset(struct ctl *c, char gen, const struct manifest *m, bool sets);
struct table *live_table(const struct ruleset *rs, const char *family, const char *name);
/* What `from` counted, or when it was last used, goes into `to`. */
void live_add_state(struct expr *to, const struct expr *from);

/* -- setmap.c: sets in maps -------------------------------------------------------------------- */

/* The manifest's words on a set; NULL: the programs do not look it up. */
const struct mf_set *setmap_find(const struct manifest *m, const struct set *s);
/* A set's elements by the key that they begin with; the one that begins where e does, or NULL. */
void setmap_by_key(struct arena *a, const struct set *s, struct strmap *by_key);
const struct set_elem *setmap_elem(const struct strmap *by_key, const struct set_elem *e);
/* Replaces the set's elements by those of the map. 0, or 1 after an error line. */
int setmap_read(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms, struct set *s);
/* The same for each set whose elements the manifest leaves out. */
int setmap_read_left_out(struct ctl *c, const struct mapsrc *from, const struct manifest *m,
			 const struct ruleset *rs);
/* The map's keys of an element; false: they do not fit. */
struct setmap_key {
	uint8_t b[80];
};
struct setmap_keys {
	VEC(struct setmap_key) k;
};
bool setmap_keys(struct ctl *c, const struct mf_set *ms, const struct set_elem *e,
		 struct setmap_keys *keys);
/* The map's value of a new element, expiry included; NULL after an error line. */
uint8_t *setmap_value(struct ctl *c, const struct mf_set *ms, const struct set *s,
		      const struct set_elem *e);
/* The value of a range's prefixes behind the first, in the arena. */
const uint8_t *setmap_goes_on(struct ctl *c, const struct mf_set *ms, const uint8_t *value);
/* The name of a map beside the set's own. */
const char *setmap_name(const struct mf_set *ms, const char *tail);
uint64_t setmap_now(void); /* ns of the clock that expiries are told by */

/* -- setidx.c: sets of ranges that an index finds (setindex.h) --------------------------------- */

/* An element as its maps hold it, in the order of numbers. */
struct setidx_elem {
	uint32_t number;
	uint8_t *key;	/* lowest, then highest */
	uint8_t *value; /* NULL: not read */
};
struct setidx {
	const struct mf_set *ms;
	uint32_t key_len; /* of one of them */
	int main, keys, index, version;
	VEC(struct setidx_elem) now, add;
	VEC(uint32_t) remove; /* numbers */
	struct setindex *next;
};
/* Opens the maps and reads what they hold. 0, or 1 after an error line. */
int setidx_open(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms,
		struct setidx *x);
/*
 * Makes the index of what will be: `now` without `remove`, then `add`. The first step of a change;
 * nothing is in force yet.
 */
int setidx_plan(struct ctl *c, const struct set *s, struct setidx *x);
/* Brings it in force: a lookup sees all as it was or all as it will be. */
int setidx_apply(struct ctl *c, const struct set *s, struct setidx *x);
void setidx_close(struct setidx *x);

/* -- setchange.c: changes of one set ----------------------------------------------------------- */

enum set_op { SET_OP_ADD, SET_OP_DELETE, SET_OP_REPLACE, SET_OP_FLUSH, SET_OP_LIST, SET_OP_NONE };
struct setchange;
/*
 * What the command means for the maps, checked against what they hold; nothing is changed. NULL
 * after an error line.
 */
struct setchange *setchange_plan(struct ctl *c, char gen, const struct mf_set *ms,
				 const struct set *s, enum set_op op, const struct set *elems);
int setchange_apply(struct ctl *c, struct setchange *x);

/* -- carry.c ----------------------------------------------------------------------------------- */

/*
 * Gives the object that is to come the counters of rules that are the same in `live`; rewrites its
 * manifest where nft has them.
 */
int carry_counters(struct ctl *c, const struct ruleset *live, struct ctl_obj *o);

/* -- state.c: the ways between none, whole and fallback ---------------------------------------- */

/*
 * One command at a time in a network namespace; nft, when its parent was killed, counts as a part
 * of it.
 */
int state_lock(struct ctl *c);
/* The generation that an object is to become. 0, or 1 after an error. */
int state_next(struct ctl *c, char *gen);
/*
 * Finishes what an interrupted command left where that needs no object, so that what is ready is in
 * force as it should be.
 */
int state_settle(struct ctl *c);
/* In force afterwards: the object, from whatever state the name is in. */
int state_load(struct ctl *c, struct ctl_obj *o);
int state_unload(struct ctl *c);

/* -- commands ---------------------------------------------------------------------------------- */

int cmd_load(struct ctl *c, int argc, char **argv);
int cmd_replace(struct ctl *c, int argc, char **argv);
int cmd_unload(struct ctl *c, int argc, char **argv);
int cmd_status(struct ctl *c, int argc, char **argv);
int cmd_list(struct ctl *c, int argc, char **argv);
int cmd_set(struct ctl *c, int argc, char **argv);
int cmd_dump(struct ctl *c, int argc, char **argv);

#endif
