/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is bound to which NUMA nodes, and what a node's shortage means to them. */
#ifndef PLIMSOLL_POLICY_NODE_H
#define PLIMSOLL_POLICY_NODE_H

#include "state.h"

/* Fills all_nodes, bound_nodes, claimed_nodes, growing_nodes and node_growth of the decision. After
 * observe_vms(). */
void nodes_observe(struct decision *d);

/* NODE (an index) is at the edge; to be called for each before nodes_confine(). */
void node_mark_short(struct decision *d, uint32_t node);
/* NODE is in scarce, or worse; to be called for each before anything is planned. */
void node_mark_scarce(struct decision *d, uint32_t node);
/* Fills confined_nodes and confined_growth. */
void nodes_confine(struct decision *d);

/* All nodes of the host, those that can be told apart. */
uint32_t nodes_of_host(const struct snapshot *snapshot);

/* The nodes the guest is bound to, by index: those it may allocate on, if that is not everywhere.
 * 0: it is not bound, or nobody knows. */
uint32_t node_binding(const struct decision *d, uint32_t position);

/* Bytes of the guest that lie on NODE. What nobody measured is all it has if it is bound to that
 * node alone, else 0. */
uint64_t node_held(const struct decision *d, uint32_t position, uint32_t node);
/* The guest's own memory may lie on NODE, not only some of its QEMU's. */
bool node_is_used(const struct decision *d, uint32_t position, uint32_t node);

/* Memory is taken for POOL. For host and budget: always. For a node: somebody is bound to it, or
 * may be. To all others a full node is none: what they take goes elsewhere, and what they gave for
 * it would be filled again by whoever comes first. */
bool node_is_claimed(const struct decision *d, const struct pool_view *pool);

/* The shortage of POOL can be met, or made, by this guest alone where it is. Of host and budget:
 * always. Of a node: it is bound, that node is among its own, and all of them are at the edge, or
 * in scarce as POOL is, so that nothing it takes can go elsewhere. */
bool node_confines(const struct decision *d, const struct pool_view *pool, uint32_t position);

/* What the nodes the guest is bound to have above where critical is left, above their floors, and
 * above critical's threshold with the floor given up: what others take who are not bound goes below
 * the floor, too. NEVER: it is not bound, or none of its nodes could be measured. */
uint64_t node_room(const struct decision *d, uint32_t position);
uint64_t node_last_room(const struct decision *d, uint32_t position);
uint64_t node_bridge_room(const struct decision *d, uint32_t position);

/* The least band of the nodes it is bound to: the next thing it takes can go there. */
enum band node_band(const struct decision *d, uint32_t position);

/* The worst pool that the guest has memory in or takes from. */
uint32_t node_worst_pool(const struct decision *d, uint32_t position);

#endif
