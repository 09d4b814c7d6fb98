/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kd: what the files of kdiff share. */
#ifndef N2B_KD_H
#define N2B_KD_H

#include "base.h"
#include "cover.h"
#include "ruleset.h"

#define PACKETS_MAX 60000
#define SEEN_MAX    65536

struct seen { /* as in observer.bpf.c */
	uint32_t sum;
	uint8_t in[5], out[5];
	uint16_t sent_here;
	uint32_t mark[5], ctmark[5];
};

struct side {
	/* names of the namespace under test and of the one with the other ends */
	char ns[64], peers[64];
	struct bpf_object *obj;
	struct bpf_link *links[20];
	uint32_t n_links;
	struct seen *seen;
	int tx[8], raw4, raw6;
};

/* -- kdside.c ---------------------------------------------------------------------------------- */

/* Remembers the namespace that this process is in: enter("") goes back there. */
bool home(void);
bool enter(const char *ns);
/* Runs a shell command, in a namespace if ns; its output goes to the file `log` if given. */
int sh(const char *ns, const char *log, const char *fmt, ...) PRINTF(3, 4);
void print_log(const char *log);
/* The programs that watch a side: loaded once, linked anew for each ruleset. */
bool side_observer(struct side *s, const char *path);
bool side_open(struct side *s, const char *name, const char *const *ifaces, uint32_t n);
void side_close(struct side *s);
/*
 * Whether packets that come in are for this machine, wherever they go to; or on their way through
 * it.
 */
bool take_all_in(struct side *s, const char *const *names, uint32_t n, bool yes);

/* -- kdref.c: the ruleset in the kernel itself ------------------------------------------------- */

/* A file of iptables' commands. */
bool is_xt(const char *ruleset);
/* A text that says extensions of iptables in full, which nft does not read. */
bool is_full(const char *ruleset);
/* What a script of iptables' commands makes, from a namespace of its own. */
struct ruleset *read_xt(struct arena *a, struct diag *d, const char *script);
/*
 * Into a side as nft or iptables load it; where the nft at hand does not read it (*direct, also
 * when asked for), its expressions as messages. False: after a line that says why.
 */
bool ref_load(struct side *s, const struct ruleset *rs, const char *path, const char *dir,
	      bool *direct);
/*
 * Lists it, with counters, into a file: by nft; or, of what nft does not read, from the kernel's
 * messages. put: the ruleset with the counters of `cover`, which gets to know what they say; or
 * NULL.
 */
bool ref_list(struct side *s, const char *path, bool direct, struct cover *cover,
	      const struct ruleset *put);

#endif
