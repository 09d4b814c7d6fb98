// SPDX-License-Identifier: GPL-2.0-or-later
/* maps: the maps that hold states and sets. */
#include "isel.h"

static struct obj_map *map_new(struct cg *cg, const char *name, uint32_t type, uint32_t *index)
{
	struct obj_map *m = arena_new_of(cg->o->arena, struct obj_map);

	*index = cg->o->maps.n;
	*vec_push(cg->o->arena, &cg->o->maps) = m;
	m->name = name;
	m->type = type;
	m->key_size = 4;
	return m;
}

static void counters(struct cg *cg)
{
	uint32_t n = 0;
	struct obj_map *m;

	cg->counter_index = arena_array(cg->m->arena, uint32_t, cg->m->states.n + 1);
	for (uint32_t k = 0; k < cg->m->states.n; k++)
		if (cg->m->states.v[k].kind == ST_COUNTER)
			cg->counter_index[k] = n++;
	if (!n)
		return;
	m = map_new(cg, "counters", BPF_MAP_TYPE_PERCPU_ARRAY, &cg->counters_map);
	m->value_size = 16;
	m->max_entries = n;
	m->role = "counters";
}

bool cg_maps(struct cg *cg)
{
	counters(cg);
	return true;
}
