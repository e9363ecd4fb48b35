/* L0 base: an intrusive, circular, doubly linked list. A node not in a list points to itself. */
#ifndef SALLY_LIST_H
#define SALLY_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sally_node {
    struct sally_node *next;
    struct sally_node *prev;
} sally_node;

/* The object of type `type` whose member `member` is at `node`. */
/* clang-format off */
#define SALLY_CONTAINER(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))
/* clang-format on */

static inline void sally_list_init(sally_node *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool sally_list_is_empty(const sally_node *head)
{
    return head->next == head;
}

static inline void sally_list_append(sally_node *head, sally_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Fine on a node that is in no list. */
static inline void sally_list_remove(sally_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sally_list_init(node);
}

/* The first node, removed; NULL when empty. */
static inline sally_node *sally_list_take_first(sally_node *head)
{
    sally_node *node = head->next;
    if (node == head) {
        return NULL;
    }
    sally_list_remove(node);
    return node;
}

#endif
