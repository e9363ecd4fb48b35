// list.h: an intrusive list.

#include <string>

#include <gtest/gtest.h>

extern "C" {
#include "list.h"
}

namespace
{

struct Item {
    char name;
    sally_node node;
};

class List : public testing::Test
{
  protected:
    void SetUp() override
    {
        sally_list_init(&head);
        for (Item *item : {&a, &b, &c}) {
            sally_list_init(&item->node);
        }
    }

    void append(Item &item)
    {
        sally_list_append(&head, &item.node);
    }

    std::string names() const
    {
        std::string text;
        for (sally_node *n = head.next; n != &head; n = n->next) {
            EXPECT_EQ(n->prev->next, n);
            text += SALLY_CONTAINER(n, Item, node)->name;
        }
        return text;
    }

    sally_node head;
    Item a{'a', {}};
    Item b{'b', {}};
    Item c{'c', {}};
};

TEST_F(List, StartsEmpty)
{
    EXPECT_TRUE(sally_list_is_empty(&head));
    EXPECT_EQ(sally_list_take_first(&head), nullptr);
}

TEST_F(List, KeepsTheOrderOfAppends)
{
    append(a);
    append(b);
    append(c);
    EXPECT_EQ(names(), "abc");
    EXPECT_FALSE(sally_list_is_empty(&head));
}

TEST_F(List, RemovesFromAnywhere)
{
    append(a);
    append(b);
    append(c);
    sally_list_remove(&b.node);
    EXPECT_EQ(names(), "ac");
    sally_list_remove(&c.node);
    EXPECT_EQ(names(), "a");
    append(b);
    EXPECT_EQ(names(), "ab");
}

TEST_F(List, RemovingTwiceIsFine)
{
    append(a);
    append(b);
    sally_list_remove(&a.node);
    sally_list_remove(&a.node);
    EXPECT_EQ(names(), "b");
}

TEST_F(List, TakesTheFirst)
{
    append(a);
    append(b);
    EXPECT_EQ(sally_list_take_first(&head), &a.node);
    EXPECT_EQ(sally_list_take_first(&head), &b.node);
    EXPECT_EQ(sally_list_take_first(&head), nullptr);
    EXPECT_TRUE(sally_list_is_empty(&a.node));
}

} // namespace
