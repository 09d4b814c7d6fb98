// SPDX-License-Identifier: GPL-2.0-or-later
/* The nft side: scripts put together and run as one transaction each. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "fallback.h"
#include "frontend.h"

#define NFT_LARGE 4096 /* elements from which on nft is not asked to read them */
#define KILLED	  128  /* exit status of an nft that a signal ended */

static const char *nft_program(void)
{
	const char *p = getenv("NFT");

	return p && *p ? p : "nft";
}

static int memfile(const char *name, const char *text, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, text + at, len - at);

		if (n < 0) {
			close(fd);
			return -1;
		}
		at += (size_t)n;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/*
 * Runs nft with the script on its standard input; its output goes to err. Returns its exit status,
 * -1 if it cannot run.
 */
static int spawn_nft(const char *const *args, int in, int err)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		dup2(in, STDIN_FILENO);
		dup2(err, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execvp(args[0], (char *const *)args);
		dprintf(STDERR_FILENO, "cannot run %s: %s\n", args[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

/* All that a file holds, in the arena. */
static char *contents(struct ctl *c, int fd)
{
	struct sbuf b;
	char buf[4096];
	ssize_t n;

	sb_init(&b, c->arena);
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sb_add(&b, buf, (size_t)n);
	sb_puts(&b, "");
	return b.s;
}

/*
 * Whether it is nft that finds something wrong, an older one, which does not know all words of the
 * script, or falls over what the kernel holds: the kernel has not refused the script then.
 */
static bool does_not_read(int rc, const char *said)
{
	return rc == KILLED ||
	       (rc == 1 && strstr(said, "Error: ") && !strstr(said, "Could not process rule"));
}

static int run_script(struct ctl *c, const char *script, bool commit)
{
	const char *args[] = { nft_program(), commit ? "-f" : "-c", commit ? "-" : "-f",
			       commit ? NULL : "-", NULL };
	int in = memfile("nft2bpf-script", script, strlen(script));
	int err = memfile("nft2bpf-nft-says", "", 0), rc;
	const char *said;

	if (in < 0 || err < 0)
		return ctl_error("cannot hand a script to nft: %s", strerror(errno));
	rc = spawn_nft(args, in, err);
	said = contents(c, err);
	close(in);
	close(err);
	if (!rc || (does_not_read(rc, said) && !batch_run(c, script, NULL, commit)))
		return 0;
	ctl_error("%s (exit %d)",
		  commit ? "nft refuses the transaction; nothing of it is in force"
			 : "nft would refuse the transaction; nothing is changed",
		  rc);
	fputs(said, stderr);
	return 1;
}

int nft_run(struct ctl *c, const char *script)
{
	return fb_has_xt(script) ? batch_run(c, script, NULL, true) : run_script(c, script, true);
}

static int check(struct ctl *c, const char *script)
{
	return fb_has_xt(script) ? batch_run(c, script, NULL, false) : run_script(c, script, false);
}

/* Text of a million elements takes nft seconds; the kernel takes them in a fraction of one. */
static bool is_large(const struct ruleset *rs)
{
	uint32_t n = 0;

	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s)
			n += (*s)->elems.n;
	return n >= NFT_LARGE;
}

static int commit(struct ctl *c, const struct nft_script *s, bool really)
{
	struct fb_print_opts opts = { .elements = true };
	struct sbuf text = s->s;

	if (s->tables && is_large(s->tables) && batch_can(c, s->tables))
		return batch_run(c, s->s.s, s->tables, really);
	if (s->tables) { /* behind a copy: the script may be run again */
		sb_init(&text, c->arena);
		sb_puts(&text, s->s.s);
		if (!fb_print_ruleset(s->tables, &opts, &text))
			return ctl_error("nft has no words for the ruleset");
	}
	return really ? nft_run(c, text.s) : check(c, text.s);
}

int nft_commit(struct ctl *c, const struct nft_script *s)
{
	return commit(c, s, true);
}

int nft_check(struct ctl *c, const struct nft_script *s)
{
	return commit(c, s, false);
}

static const char *marker(const struct ctl *c)
{
	return arena_printf(c->arena, "inet nft2bpf-%s", c->name);
}

int nft_in_force(struct ctl *c, struct nft_force *f)
{
	static const char *const chains[] = { "a", "b", "a_whole", "b_whole" };
	const char *table = arena_printf(c->arena, "nft2bpf-%s", c->name);

	*f = (struct nft_force){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(chains) && !f->gen; i++) {
		int there = frontend_live_chain(FAM_INET, table, chains[i]);

		if (there < 0)
			return ctl_error("cannot ask nf_tables for chain %s of table inet %s: %s",
					 chains[i], table, strerror(-there));
		if (there)
			*f = (struct nft_force){ .gen = chains[i][0], .whole = chains[i][1] };
	}
	return 0;
}

void nft_set_marker(const struct ctl *c, char gen, bool whole, struct sbuf *s)
{
	const char *m = marker(c);

	sb_printf(s, "add table %s\ndelete table %s\nadd table %s\nadd chain %s %c%s\n", m, m, m, m,
		  gen, whole ? "_whole" : "");
}

/*
 * add before delete: deleting what is not there would fail the transaction, and `destroy` needs a
 * newer nft.
 */
void nft_delete_marker(const struct ctl *c, struct sbuf *s)
{
	sb_printf(s, "add table %s\ndelete table %s\n", marker(c), marker(c));
}

void nft_delete_tables(struct ctl *c, const struct manifest *m, struct sbuf *s)
{
	vec_foreach(&m->tables, t) {
		const char *name = nft_full_table(c, m, *t);

		sb_printf(s, "add table %s\ndelete table %s\n", name, name);
	}
}

/* The base chain of the ruleset that a program stands for; NULL is the manifest's fault. */
static struct chain *base_chain(const struct ruleset *rs, const struct mf_prog *p)
{
	vec_foreach(&rs->tables, t)
		if (!strcmp(family_name((*t)->family), p->family) && !strcmp((*t)->name, p->table))
			return table_chain(*t, p->chain);
	return NULL;
}

struct ruleset *manifest_ruleset(struct ctl *c, const struct manifest *m, struct diag *d)
{
	struct ruleset *rs;

	diag_init(d, c->arena);
	rs = frontend_read_buffer(c->arena, d, "(the object's ruleset)", m->ruleset,
				  strlen(m->ruleset));
	if (!rs) {
		diag_flush(d, stderr);
		ctl_error("the object's ruleset cannot be read back");
	}
	return rs;
}

static bool has_link(const struct manifest *m, uint32_t hook, int32_t prio)
{
	vec_foreach(&m->progs, p)
		if ((uint32_t)p->hooknum == hook && p->prio == prio)
			return true;
	return false;
}

static int by_prio(const void *a, const void *b)
{
	const struct chain *x = *(struct chain *const *)a, *y = *(struct chain *const *)b;

	return x->prio < y->prio ? -1 : x->prio > y->prio;
}

/*
 * A link refuses to share a priority with a chain: chains stand behind the links' priorities, each
 * behind those that it stood behind before; those of one priority keep one.
 */
static void beside_links(struct ctl *c, const struct manifest *m, struct ruleset *rs, uint32_t hook)
{
	VEC(struct chain *) v = { 0 };
	int64_t was = INT64_MIN, now = INT64_MIN;

	vec_foreach(&rs->tables, t) {
		enum family f = (*t)->family;

		if (f != FAM_IP && f != FAM_IP6 && f != FAM_INET)
			continue;
		vec_foreach(&(*t)->chains, ch)
			if ((*ch)->is_base && (uint32_t)(*ch)->hook == hook)
				*vec_push(c->arena, &v) = *ch;
	}
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_prio);
	vec_foreach(&v, ch) {
		if ((*ch)->prio != was) {
			was = (*ch)->prio;
			now = MAX(now + 1, was);
			while (has_link(m, hook, (int32_t)now))
				now++;
		}
		(*ch)->prio = (int32_t)now;
	}
}

/*
 * The kernel makes a table for so many elements at once, instead of growing one: a third of the
 * time.
 */
static void tell_sizes(const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, it) {
			struct set *s = *it;

			if (s->has_size || s->size || s->elems.n < NFT_LARGE ||
			    s->flags & (SET_INTERVAL | SET_EVAL | SET_TIMEOUT))
				continue;
			s->has_size = true;
			s->size = s->elems.n;
		}
}

int nft_whole(struct ctl *c, const struct manifest *m, struct ruleset *rs,
	      const struct mapsrc *from, struct nft_script *s)
{
	struct diag d;

	if (!rs) {
		rs = manifest_ruleset(c, m, &d);
		if (!rs || setmap_read_left_out(c, from, m, rs))
			return 1;
	}
	vec_foreach(&m->progs, p) {
		if (!base_chain(rs, p))
			return ctl_error(
				"the manifest names a chain %s %s %s that it does not have",
				p->family, p->table, p->chain);
	}
	for (uint32_t hook = 0; hook <= HOOK_POSTROUTING; hook++)
		beside_links(c, m, rs, hook);
	if (nft_rename(c, m, rs))
		return 1;
	tell_sizes(rs);
	s->tables = rs;
	return 0;
}
