// SPDX-License-Identifier: MIT
// Inode cache: by (super block, number); unused inodes with links keep their pages on an LRU until
// memory is wanted.
#include "fs/block.h"
#include "fs/internal.h"
#include "fs/pipe.h"
#include "mm/shrinker.h"
#include "mm/writeback.h"

#define HASH_BITS 12
static struct hlist_head inode_hash[1u << HASH_BITS];
static DEFINE_SPINLOCK(cache_lock); // hash, LRU, sb lists, counts that fall to or leave 0
static LIST_HEAD(lru_list);
static u64 lru_count, total_count;
static struct kmem_cache *inode_cache;
static DECLARE_WAIT_QUEUE_HEAD(freeing_wait);

static struct hlist_head *bucket(const struct super_block *sb, ino_t ino)
{
    u64 h = ((u64)sb >> 8) ^ (ino * 0x9e3779b97f4a7c15UL);
    return &inode_hash[(h >> 32) & ((1u << HASH_BITS) - 1)];
}

static void state_set(struct inode *i, unsigned long bits)
{
    spin_lock(&i->i_lock);
    i->i_state |= bits;
    spin_unlock(&i->i_lock);
}

static struct inode *inode_alloc(struct super_block *sb)
{
    struct inode *i;
    if (sb->s_op->alloc_inode) {
        i = sb->s_op->alloc_inode(sb);
    } else {
        i = kmem_cache_alloc(inode_cache, GFP_KERNEL | __GFP_ZERO);
    }
    if (!i) {
        return NULL;
    }
    static const struct inode_operations no_inode_ops;
    i->i_sb = sb;
    i->i_op = &no_inode_ops;
    i->i_nlink = 1;
    i->i_blkbits = (u8)sb->s_blocksize_bits;
    atomic_set(&i->i_count, 1);
    spin_lock_init(&i->i_lock);
    init_rwsem_rank(&i->i_rwsem, LOCK_INODE);
    init_waitqueue_head(&i->i_wait);
    INIT_LIST_HEAD(&i->i_sb_list);
    INIT_LIST_HEAD(&i->i_dirty_list);
    INIT_LIST_HEAD(&i->i_lru);
    INIT_LIST_HEAD(&i->i_dentry);
    static const struct address_space_operations no_aops;
    address_space_init(&i->i_data, i, &no_aops);
    i->i_mapping = &i->i_data;
    return i;
}

static void inode_free(struct inode *i)
{
    locks_free_context(i);
    if (i->i_sb->s_op->free_inode) {
        i->i_sb->s_op->free_inode(i);
    } else {
        kmem_cache_free(inode_cache, i);
    }
}

struct inode *new_inode(struct super_block *sb)
{
    struct inode *i = inode_alloc(sb);
    if (i) {
        spin_lock(&cache_lock);
        list_add(&i->i_sb_list, &sb->s_inodes);
        total_count++;
        spin_unlock(&cache_lock);
    }
    return i;
}

static void lru_remove(struct inode *i)
{
    if (!list_empty(&i->i_lru)) {
        list_del_init(&i->i_lru);
        lru_count--;
    }
}

// cache_lock held. Referenced, or NULL; *freeing: it is there but on its way out.
static struct inode *find_locked(struct super_block *sb, ino_t ino, bool *freeing)
{
    struct inode *i;
    *freeing = false;
    hlist_for_each_entry(i, bucket(sb, ino), i_hash) {
        if (i->i_ino != ino || i->i_sb != sb) {
            continue;
        }
        if (i->i_state & I_FREEING) {
            *freeing = true;
            return NULL;
        }
        atomic_inc(&i->i_count);
        lru_remove(i);
        return i;
    }
    return NULL;
}

static bool still_freeing(struct super_block *sb, ino_t ino)
{
    bool freeing;
    spin_lock(&cache_lock);
    struct inode *i = find_locked(sb, ino, &freeing);
    spin_unlock(&cache_lock);
    if (i) {
        iput(i);
    }
    return freeing;
}

struct inode *ilookup(struct super_block *sb, ino_t ino)
{
    bool freeing;
    for (;;) {
        spin_lock(&cache_lock);
        struct inode *i = find_locked(sb, ino, &freeing);
        spin_unlock(&cache_lock);
        if (freeing) {
            wait_event(freeing_wait, !still_freeing(sb, ino));
            continue;
        }
        if (!i) {
            return NULL;
        }
        wait_event(i->i_wait, !(READ_ONCE(i->i_state) & I_NEW));
        if (!hlist_unhashed(&i->i_hash)) {
            return i;
        }
        iput(i); // its reading failed
        return NULL;
    }
}

struct inode *iget_locked(struct super_block *sb, ino_t ino)
{
    struct inode *fresh = NULL;
    for (;;) {
        bool freeing;
        spin_lock(&cache_lock);
        struct inode *i = find_locked(sb, ino, &freeing);
        if (!i && !freeing && fresh) {
            fresh->i_ino = ino;
            fresh->i_state |= I_NEW;
            hlist_add_head(&fresh->i_hash, bucket(sb, ino));
            list_add(&fresh->i_sb_list, &sb->s_inodes);
            total_count++;
            spin_unlock(&cache_lock);
            return fresh;
        }
        spin_unlock(&cache_lock);
        if (freeing) {
            wait_event(freeing_wait, !still_freeing(sb, ino));
        } else if (i) {
            wait_event(i->i_wait, !(READ_ONCE(i->i_state) & I_NEW));
            if (hlist_unhashed(&i->i_hash)) {
                iput(i);
                continue;
            }
            if (fresh) {
                inode_free(fresh);
            }
            return i;
        } else {
            fresh = inode_alloc(sb);
            if (!fresh) {
                return NULL;
            }
        }
    }
}

void unlock_new_inode(struct inode *i)
{
    spin_lock(&i->i_lock);
    i->i_state &= ~I_NEW;
    spin_unlock(&i->i_lock);
    wake_up_all(&i->i_wait);
}

void iget_failed(struct inode *i)
{
    spin_lock(&cache_lock);
    hlist_del_init(&i->i_hash);
    spin_unlock(&cache_lock);
    unlock_new_inode(i);
    iput(i);
}

void insert_inode_hash(struct inode *i)
{
    spin_lock(&cache_lock);
    hlist_add_head(&i->i_hash, bucket(i->i_sb, i->i_ino));
    spin_unlock(&cache_lock);
}

void ihold(struct inode *i)
{
    atomic_inc(&i->i_count);
}

void clear_inode(struct inode *i)
{
    inode_clear_dirty(i);
}

// I_FREEING is set, nobody can find it any more (lookups wait).
static void evict(struct inode *i)
{
    inode_wait_for_writeback(i);
    if (i->i_sb->s_op->evict_inode) {
        i->i_sb->s_op->evict_inode(i);
    } else {
        truncate_inode_pages(&i->i_data, 0);
        clear_inode(i);
    }
    spin_lock(&cache_lock);
    hlist_del_init(&i->i_hash);
    list_del_init(&i->i_sb_list);
    total_count--;
    spin_unlock(&cache_lock);
    wake_up_all(&freeing_wait);
    inode_free(i);
}

void iput(struct inode *i)
{
    if (!i) {
        return;
    }
    int count = atomic_read(&i->i_count);
    while (count > 1) {
        if (atomic_try_cmpxchg(&i->i_count, &count, count - 1)) {
            return;
        }
    }
    spin_lock(&cache_lock);
    if (!atomic_dec_and_test(&i->i_count)) {
        spin_unlock(&cache_lock);
        return;
    }
    if (i->i_nlink && !hlist_unhashed(&i->i_hash) && !i->i_sb->s_dying) {
        list_add(&i->i_lru, &lru_list);
        lru_count++;
        spin_unlock(&cache_lock);
        return;
    }
    state_set(i, I_FREEING);
    spin_unlock(&cache_lock);
    evict(i);
}

struct inode *inode_sb_next(struct super_block *sb, struct inode *prev,
                            bool (*want)(const struct inode *i))
{
    struct inode *i, *found = NULL;
    spin_lock(&cache_lock);
    struct list_head *at = prev ? prev->i_sb_list.next : sb->s_inodes.next;
    for (; at != &sb->s_inodes; at = at->next) {
        i = list_entry(at, struct inode, i_sb_list);
        if (!(i->i_state & (I_FREEING | I_NEW)) && (!want || want(i))) {
            atomic_inc(&i->i_count);
            lru_remove(i);
            found = i;
            break;
        }
    }
    spin_unlock(&cache_lock);
    iput(prev);
    return found;
}

struct inode *igrab(struct inode *i)
{
    struct inode *got = NULL;
    spin_lock(&cache_lock);
    if (!(i->i_state & I_FREEING)) {
        atomic_inc(&i->i_count);
        lru_remove(i);
        got = i;
    }
    spin_unlock(&cache_lock);
    return got;
}

static bool take_unused(struct inode *i)
{
    if (atomic_read(&i->i_count) || (i->i_state & (I_FREEING | I_NEW))) {
        return false;
    }
    state_set(i, I_FREEING);
    lru_remove(i);
    return true;
}

void evict_inodes(struct super_block *sb)
{
    for (;;) {
        struct inode *i, *victim = NULL;
        spin_lock(&cache_lock);
        list_for_each_entry(i, &sb->s_inodes, i_sb_list) {
            if (take_unused(i)) {
                victim = i;
                break;
            }
        }
        spin_unlock(&cache_lock);
        if (!victim) {
            return;
        }
        evict(victim);
        cond_resched();
    }
}

static u64 count_unused(void)
{
    return lru_count;
}

// Clean ones only; their clean pages go with them.
static u64 scan_unused(u64 nr, gfp_t gfp)
{
    u64 freed = 0;
    if (!(gfp & __GFP_FS)) {
        return 0;
    }
    while (nr--) {
        struct inode *victim = NULL;
        spin_lock(&cache_lock);
        if (!list_empty(&lru_list)) {
            struct inode *i = list_last_entry(&lru_list, struct inode, i_lru);
            if ((i->i_state & (I_DIRTY | I_WRITEBACK)) || !take_unused(i)) {
                list_del(&i->i_lru);
                list_add(&i->i_lru, &lru_list);
            } else {
                victim = i;
            }
        }
        spin_unlock(&cache_lock);
        if (victim) {
            evict(victim);
            freed++;
        }
    }
    return freed;
}

static struct shrinker inode_shrinker = {
    .name = "inode", .count = count_unused, .scan = scan_unused};

u64 inodes_count(void)
{
    return total_count;
}

ino_t get_next_ino(void)
{
    static atomic64_t last;
    return (ino_t)atomic64_inc_return(&last);
}

void set_nlink(struct inode *i, u32 n)
{
    i->i_nlink = n;
}

void inc_nlink(struct inode *i)
{
    i->i_nlink++;
}

void drop_nlink(struct inode *i)
{
    i->i_nlink--;
}

void init_special_inode(struct inode *i, umode_t mode, dev_t rdev)
{
    i->i_mode = mode;
    if (S_ISCHR(mode)) {
        i->i_fop = &def_chr_fops;
        i->i_rdev = rdev;
    } else if (S_ISBLK(mode)) {
        i->i_fop = &def_blk_fops;
        i->i_rdev = rdev;
    } else if (S_ISFIFO(mode)) {
        i->i_fop = &fifo_fops;
    } else {
        i->i_fop = &bad_dev_fops;
    }
}

void inode_init(void)
{
    inode_cache = kmem_cache_create("inode_cache", sizeof(struct inode), 64, 0);
    shrinker_register(&inode_shrinker);
}
