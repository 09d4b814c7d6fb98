/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl: what the commands of nft2bpfctl share.
 *
 * What is loaded in a network namespace under a name lives in pins below /sys/fs/bpf/nft2bpf/<inode of the namespace>/<name>/.
 * Two generations, a and b, take turns, so that `replace` can make one ready while the other is in force:
 *
 *	<g>_manifest	array map with one value: the manifest's JSON
 *	<g>_map_NAME	maps of the object
 *	<g>_prog_NAME	programs
 *	<g>_link_NAME	links: unlinking one detaches its program
 *	<g>_ready	the manifest again: there when generation g is whole and in force
 *
 * On the nft side the tables of the manifest are ours while the empty marker table `inet nft2bpf-<name>` exists: it comes and
 * goes in the same transactions as they do.
 *
 * Nothing is ever half in force. Every change passes through the state "whole": the complete original ruleset in nftables,
 * which gives the new verdicts with any number of the programs attached:
 *
 *	load	none -> whole(new) -> attach programs -> fallback(new)
 *	unload	fallback -> whole(old) -> detach programs -> none
 *	replace	fallback(old) -> whole(old) -> detach -> whole(new) -> attach -> fallback(new)
 *
 * Each arrow on the nft side is one transaction. Whoever is killed between two steps leaves a ruleset that filters as the old or the new
 * one, or none; the next command of that name finds no <g>_ready and first goes back to none the same way.
 */
#ifndef N2B_CTL_H
#define N2B_CTL_H

#include <bpf/libbpf.h>

#include "base.h"
#include "manifest.h"
#include "ruleset.h"

#define CTL_ROOT "/sys/fs/bpf/nft2bpf"

struct ctl {
	struct arena *arena;
	const char *name; /* of the loaded ruleset; NULL: all */
	const char *home; /* the namespace's folder below CTL_ROOT */
	const char *dir;  /* home/name; NULL without a name */
};

/* Prints "nft2bpfctl: ..." on stderr and returns 1: the exit status. */
int ctl_error(const char *fmt, ...) PRINTF(1, 2);
void ctl_note(const char *fmt, ...) PRINTF(1, 2);

/* -- pins.c --------------------------------------------------------------------------------------- */

/* Finds the namespace's folder, makes it if `make`; mounts bpffs where it is missing. 0 or 1 after an error line. */
int pins_open(struct ctl *c, bool make);
void pins_set_name(struct ctl *c, const char *name);
bool pins_has(const struct ctl *c, char gen, const char *kind, const char *name);
char *pins_path(const struct ctl *c, char gen, const char *kind, const char *name);
typedef int pins_fn(struct ctl *c, const char *file, void *arg);
/* Calls fn for each file of generation gen whose kind is `kind` ("link", "map" ...), or any kind if NULL. */
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

/* -- object.c ------------------------------------------------------------------------------------- */

struct ctl_obj {
	struct bpf_object *bpf;
	struct manifest *mf;
	const char *json;
	size_t json_len;
};
/* Opens the object, reads its manifest, loads its programs and maps into the kernel, fills in initial values. */
int object_load(struct ctl *c, const char *path, struct ctl_obj *o);
/* Attaches every program and pins links, programs and maps as generation gen. */
int object_attach(struct ctl *c, struct ctl_obj *o, char gen);
void object_close(struct ctl_obj *o);
/* Reads a value of a per-CPU or plain map of u64s: sums over CPUs for per-CPU ones. 0 or -errno. */
int map_read_u64s(int fd, uint32_t key, uint64_t *v, uint32_t n);
int map_write_u64s(int fd, uint32_t key, const uint64_t *v, uint32_t n);

/* -- nft.c ---------------------------------------------------------------------------------------- */

/* Runs one nft transaction (`nft -f -`; $NFT names another nft). 0, or 1 after printing what nft said. */
int nft_run(struct ctl *c, const char *script);
bool nft_table_exists(struct ctl *c, const char *family_table);
/* Parts of transactions. */
void nft_add_marker(const struct ctl *c, struct sbuf *s);
void nft_delete_marker(const struct ctl *c, struct sbuf *s);
void nft_create_tables(const struct manifest *m, struct sbuf *s);
void nft_delete_tables(const struct manifest *m, struct sbuf *s);
/* The whole original ruleset; base chains that programs stand for without a residual chain one priority later. */
int nft_whole(struct ctl *c, const struct manifest *m, struct sbuf *s);

/* The original ruleset, read back from the manifest; NULL after error lines. */
struct ruleset *manifest_ruleset(struct ctl *c, const struct manifest *m, struct diag *d);

/* -- state.c: the ways between none, whole and fallback -------------------------------------------- */

/* Brings what an interrupted command left to none, or drops what it prepared. 0, or 1 after an error line. */
int state_recover(struct ctl *c);
int state_load(struct ctl *c, struct ctl_obj *o);
int state_unload(struct ctl *c);
int state_replace(struct ctl *c, struct ctl_obj *o);

/* -- commands -------------------------------------------------------------------------------------- */

int cmd_load(struct ctl *c, int argc, char **argv);
int cmd_replace(struct ctl *c, int argc, char **argv);
int cmd_unload(struct ctl *c, int argc, char **argv);
int cmd_status(struct ctl *c, int argc, char **argv);
int cmd_list(struct ctl *c, int argc, char **argv);
int cmd_set(struct ctl *c, int argc, char **argv);
int cmd_dump(struct ctl *c, int argc, char **argv);

#endif
