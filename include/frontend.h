/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frontend: the ways in. Each reads a whole ruleset, checked and complete; NULL after errors, which
 * are in d.
 */
#ifndef N2B_FRONTEND_H
#define N2B_FRONTEND_H

#include "ast.h"
#include "ruleset.h"

/* nft text: parsed, evaluated, linearised. path "-" is standard input. */
struct ruleset *frontend_read_text(struct arena *a, struct diag *d, const char *path,
				   const struct parse_opts *opts);
/* The same from memory; name is for messages, text must stay. */
struct ruleset *frontend_read_buffer(struct arena *a, struct diag *d, const char *name,
				     const char *text, size_t len);

/* A priority as nft lists it in a hook: "filter", "mangle - 5", or the number. */
const char *frontend_prio_words(struct arena *a, enum family f, enum hooknum h, int32_t prio);

/* A raw nlmsg stream: a kernel dump, or nft's own load batch. */
struct ruleset *frontend_read_netlink(struct arena *a, struct diag *d, const char *name,
				      const void *buf, size_t len);
/* What runs in this network namespace. */
struct ruleset *frontend_read_live(struct arena *a, struct diag *d);
/* Whether this network namespace has a chain: 1, 0, or -errno if the kernel cannot be asked. */
int frontend_live_chain(enum family f, const char *table, const char *chain);
/* The whole as raw messages, for `nft2bpfctl dump`; NULL after an error. *len in bytes. */
void *frontend_fetch_live(struct arena *a, struct diag *d, size_t *len);

#endif
