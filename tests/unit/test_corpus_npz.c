/*
 * Malformed .npz archives: each is refused with a clear message, nothing changes, and no more memory is taken than the
 * limit says, whatever the file claims.
 */
#include "corpus_support.h"

#include "core/memory.h"
#include "io/tensor_file.h"

/** An archive of "a" alone, with lies about it. */
static memory_file lying_file(int deflated, const member_lies *lies, const end_lies *end)
{
    archive *a = make_archive();
    memory_file file;

    array_add(a, "a.npy", deflated, GOOD, two_values, 8, lies);
    file = archive_file(a, end);
    free(a);
    return file;
}

START_TEST(npz_members_lie)
{
    static const struct {
        member_lies lies;
        sslcv_status status;
        const char *message;
    } cases[] = {
        {{.crc = 1}, SSLCV_ERR_FORMAT, "a.npy is damaged: its CRC-32 is"},
        {{.crc = 0xffffffff}, SSLCV_ERR_FORMAT, "the archive says ffffffff"},
        {{.local_crc = 1}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_size = 1}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_method = 12}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_name = "b.npy"}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_name = "a.npy.npy"}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_flags = 1}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.local_flags = 8}, SSLCV_ERR_FORMAT, "a member's header and the directory differ"},
        {{.flags = 1}, SSLCV_ERR_UNSUPPORTED, "is an encrypted zip archive"},
        {{.flags = 9}, SSLCV_ERR_UNSUPPORTED, "is an encrypted zip archive"},
        {{.method = 1}, SSLCV_ERR_UNSUPPORTED, "by method 1; known are 0 (stored) and 8"},
        {{.method = 6}, SSLCV_ERR_UNSUPPORTED, "by method 6"},
        {{.method = 9}, SSLCV_ERR_UNSUPPORTED, "by method 9"},
        {{.method = 12}, SSLCV_ERR_UNSUPPORTED, "by method 12"},
        {{.method = 14}, SSLCV_ERR_UNSUPPORTED, "by method 14"},
        {{.method = 93}, SSLCV_ERR_UNSUPPORTED, "by method 93"},
        {{.method = 99}, SSLCV_ERR_UNSUPPORTED, "by method 99"},
        {{.method = 65535}, SSLCV_ERR_UNSUPPORTED, "by method 65535"},
        {{.offset = 1}, SSLCV_ERR_FORMAT, "a member is not where the directory says"},
        {{.offset = 40}, SSLCV_ERR_FORMAT, "a member is not where"},
        {{.offset = 100000}, SSLCV_ERR_FORMAT, "a member is not where"},
        {{.offset = 0x7fffffff}, SSLCV_ERR_FORMAT, "a member is not where"},
        {{.offset = 0xfffffffe}, SSLCV_ERR_FORMAT, "a member is not where"},
        {{.offset = 0xffffffff}, SSLCV_ERR_FORMAT, "its directory has an entry that is none"},
        {{.packed = 100000}, SSLCV_ERR_FORMAT, "a member is longer than the archive"},
        {{.packed = 0xfffffffe}, SSLCV_ERR_FORMAT, "a member is longer than the archive"},
        {{.packed = 0xffffffff}, SSLCV_ERR_FORMAT, "its directory has an entry that is none"},
        {{.unpacked = 0xffffffff}, SSLCV_ERR_FORMAT, "its directory has an entry that is none"},
        {{.packed = 0xffffffffffff, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member is longer than the archive"},
        {{.packed = UINT64_MAX, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member is longer than the archive"},
        {{.packed = (uint64_t)1 << 63, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member is longer than the archive"},
        {{.unpacked = UINT64_MAX, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member's size cannot be true"},
        {{.unpacked = (uint64_t)1 << 63, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member's size cannot be true"},
        {{.unpacked = (uint64_t)1 << 40, .extra_64 = 1}, SSLCV_ERR_FORMAT, "a member's size cannot be true"},
        {{.unpacked = 0xfffffffe}, SSLCV_ERR_FORMAT, "a member's size cannot be true"},
        {{.extra_64 = 2}, SSLCV_ERR_FORMAT, "its directory has an entry that is none"},
        {{.extra_64 = 3}, SSLCV_ERR_FORMAT, "its directory has an entry that is none"},
    };
    size_t i;
    int deflated;

    for (deflated = 0; deflated < 2; deflated++) {
        accept(lying_file(deflated, NULL, NULL));
        for (i = 0; i < sizeof cases / sizeof *cases; i++) {
            refuse(lying_file(deflated, &cases[i].lies, NULL), BY_BOTH, cases[i].status, cases[i].message);
        }
    }
    ck_assert_int_ge(refused, 76);
}
END_TEST

START_TEST(npz_sizes_lie)
{
    const member_lies longer = {.unpacked = 1000}, shorter = {.unpacked = 40}, tiny = {.unpacked = 3};
    const member_lies cut = {.packed = 20};

    refuse(lying_file(0, &longer, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "a member's size cannot be true");
    refuse(lying_file(0, &shorter, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "a member's size cannot be true");
    refuse(lying_file(1, &longer, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "\"a\" has 2 elements of <f4, but");
    refuse(lying_file(1, &shorter, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "of which 30 are there");
    refuse(lying_file(1, &tiny, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "has 3 bytes, too few for an .npy file");
    refuse(lying_file(1, &cut, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "a.npy is damaged: it ends too early");
}
END_TEST

START_TEST(npz_ends_lie)
{
    static const struct {
        end_lies lies;
        const char *message;
    } cases[] = {
        {{.disk = 1}, "it is one of several parts"},
        {{.disk = 0x10000}, "it is one of several parts"},
        {{.count = 2}, "its directory is too short for its members"},
        {{.count = 3}, "its directory is too short for its members"},
        {{.count = 65535}, "its directory is too short for its members"},
        {{.bytes = 1}, "its directory is not where its end says"},
        {{.bytes = 0xffffffff}, "its directory is not where its end says"},
        {{.bytes = 0x80000000}, "its directory is not where its end says"},
        {{.offset = 1}, "its directory is not where its end says"},
        {{.offset = 0xffffffff}, "its directory is not where its end says"},
        {{.offset = 0x80000000}, "its directory is not where its end says"},
        {{.comment = 1}, "it has no directory"},
        {{.comment = 65535}, "it has no directory"},
    };
    archive *a;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse(lying_file(0, NULL, &cases[i].lies), BY_BOTH, SSLCV_ERR_FORMAT, cases[i].message);
    }
    refuse_cuts(lying_file(1, NULL, NULL));
    a = make_archive(); /* the end counts no member, the directory has one */
    array_add(a, "a.npy", 0, GOOD, two_values, 8, NULL);
    a->count = 0;
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "its directory has more than its members");
    free(a);
    a = make_archive(); /* bytes in front, which the offsets do not know of */
    pile_add(&a->body, "PK\3\4 a program in front", 24);
    array_add(a, "a.npy", 0, GOOD, two_values, 8, &(member_lies){.offset = 4});
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "a member is not where the directory says");
    free(a);
    a = make_archive(); /* a directory that is none */
    array_add(a, "a.npy", 0, GOOD, two_values, 8, NULL);
    a->directory.bytes[0] = 'X';
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "its directory has an entry that is none");
    free(a);
}
END_TEST

/** An archive whose end is of 64 bits; numbers: those of the record, locator: the offset it gives. */
static memory_file file_64(uint64_t disk_count, uint64_t count, uint64_t bytes, uint64_t offset, uint64_t locator)
{
    archive *a = make_archive();
    memory_file file;
    uint64_t record;

    array_add(a, "a.npy", 0, GOOD, two_values, 8, NULL);
    record = (uint64_t)(a->body.size + a->directory.size);
    pile_number(&a->directory, 0x06064b50, 4);
    pile_number(&a->directory, 44, 8);
    pile_number(&a->directory, 45 << 16 | 45, 4);
    pile_number(&a->directory, 0, 8);
    pile_number(&a->directory, or_lie(1, disk_count), 8);
    pile_number(&a->directory, or_lie(1, count), 8);
    pile_number(&a->directory, or_lie(record - (uint64_t)a->body.size, bytes), 8);
    pile_number(&a->directory, or_lie((uint64_t)a->body.size, offset), 8);
    pile_number(&a->directory, 0x07064b50, 4);
    pile_number(&a->directory, 0, 4);
    pile_number(&a->directory, or_lie(record, locator), 8);
    pile_number(&a->directory, 1, 4);
    file = archive_file(a, NULL);
    free(a);
    return file;
}

START_TEST(npz_ends_of_64_bits_lie)
{
    const uint64_t huge[4] = {(uint64_t)1 << 32, (uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX};
    int i;

    accept(file_64(0, 0, 0, 0, 0));
    refuse(file_64(2, 0, 0, 0, 0), BY_BOTH, SSLCV_ERR_FORMAT, "it is one of several parts");
    refuse(file_64(0, 0, 0, 0, 1), BY_BOTH, SSLCV_ERR_FORMAT, "points elsewhere");
    for (i = 0; i < 4; i++) {
        refuse(file_64(huge[i], huge[i], 0, 0, 0), BY_BOTH, SSLCV_ERR_FORMAT, "too short for its members");
        refuse(file_64(0, 0, huge[i], 0, 0), BY_BOTH, SSLCV_ERR_FORMAT, "not where its end says");
        refuse(file_64(0, 0, 0, huge[i], 0), BY_BOTH, SSLCV_ERR_FORMAT, "not where its end says");
        refuse(file_64(0, 0, 0, 0, huge[i]), BY_BOTH, SSLCV_ERR_FORMAT, "points elsewhere");
    }
}
END_TEST

START_TEST(npz_names)
{
    static const struct {
        const char *name, *message;
    } cases[] = {
        {"", "which is no NAME.npy"},
        {"a", "it holds \"a\", which is no NAME.npy"},
        {".npy", "which is no NAME.npy"},
        {"a.npz", "which is no NAME.npy"},
        {"npy", "which is no NAME.npy"},
        {"a.NPY", "which is no NAME.npy"},
        {"\xff/\x01", "it holds \"?/?\", which"},
        {"gr\xc3\xbc\xc3\x9f", "it holds \"gr\xc3\xbc\xc3\x9f\", which"},
        {"a/", "which is no NAME.npy"},
        {"archive/data.pkl", "files of PyTorch must be converted"},
        {"\xff.npy", "whose name is no UTF-8"},
        {"a\xc0\x80.npy", "whose name is no UTF-8"},
        {"\xed\xa0\x80.npy", "whose name is no UTF-8"},
    };
    archive *a;
    memory_file file;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        a = make_archive();
        array_add(a, "a.npy", 0, GOOD, two_values, 8, NULL);
        array_add(a, cases[i].name, 0, GOOD, two_values, 8, NULL);
        refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, cases[i].message);
        free(a);
    }
    a = make_archive();
    for (i = 0; i < 2; i++) array_add(a, "a.npy", (int)i, GOOD, two_values, 8, NULL);
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "has two tensors named \"a\"");
    free(a);
    a = make_archive(); /* a 0 in a name, in header and directory */
    array_add(a, "aXb.npy", 0, GOOD, two_values, 8, NULL);
    a->body.bytes[31] = a->directory.bytes[47] = 0;
    file = archive_file(a, NULL);
    refuse(file, BY_BOTH, SSLCV_ERR_FORMAT, "whose name is no UTF-8");
    free(a);
}
END_TEST

START_TEST(npz_overlap)
{
    archive *a = make_archive();
    const member_lies first = {.offset = 0};
    int64_t second;

    array_add(a, "a.npy", 0, GOOD, two_values, 8, &first); /* two entries of one member */
    array_add(a, "a.npy", 0, GOOD, two_values, 8, NULL);
    memset(a->directory.bytes + a->directory.size - 5 - 4, 0, 4);
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "two members overlap");
    free(a);

    a = make_archive(); /* a member within another's data */
    {
        archive *inner = make_archive();
        array_add(inner, "b.npy", 0, GOOD, two_values, 8, NULL);
        member_add(a, "a.npy", 0, inner->body.bytes, inner->body.size, inner->body.bytes, inner->body.size, NULL);
        second = 30 + 5;
        array_add(a, "b.npy", 0, GOOD, two_values, 8, NULL);
        a->directory.bytes[a->directory.size - 5 - 4] = (char)second;
        memset(a->directory.bytes + a->directory.size - 5 - 3, 0, 3);
        free(inner);
    }
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "two members overlap");
    free(a);
}
END_TEST

START_TEST(npz_many_members)
{
    archive *a = make_archive();
    int i;

    for (i = 0; i < 3000; i++) { /* as small as they may be: what is kept of each weighs most */
        char name[16];

        snprintf(name, sizeof name, "%d.npy", i);
        member_add(a, name, 0, "no file here", 12, "no file here", 12, NULL);
    }
    refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "\"0\" is no .npy file");
    free(a);
}
END_TEST

START_TEST(npz_deflated_nonsense)
{
    char packed[4096];
    pile *npy = calloc(1, sizeof *npy);
    archive *a;
    int64_t bytes, i;

    ck_assert_ptr_nonnull(npy);
    npy_add(npy, 1, GOOD, two_values, 8);
    bytes = deflate_raw(npy->bytes, npy->size, packed, sizeof packed);
    packed[bytes] = 0;
    for (i = 0; i < 5; i++) {
        const char *const texts[5] = {"it is longer than what it holds", "it ends too early", "invalid block type",
                                      "it ends too early", "it unpacks to more than the archive says"};
        const char *what = i == 2 ? "\xff\xff\xff\xff" : packed;
        const int64_t given = i == 0 ? bytes + 1 : i == 1 ? bytes - 1 : i == 2 ? 4 : i == 3 ? 0 : bytes;
        /* Checks the last: one value less, in shape and size, than what comes out. */
        const member_lies lies = {.unpacked = (uint64_t)(npy->size - (i == 4 ? 4 : 0))};

        a = make_archive();
        if (i == 4) {
            pile *other = calloc(1, sizeof *other);
            ck_assert_ptr_nonnull(other);
            npy_add(other, 1, HEADER("<f4", "False", "(1,)"), two_values, 8);
            bytes = deflate_raw(other->bytes, other->size, packed, sizeof packed);
            member_add(a, "a.npy", 8, packed, bytes, other->bytes, other->size, &lies);
            free(other);
        } else {
            member_add(a, "a.npy", 8, what, given, npy->bytes, npy->size, &lies);
        }
        refuse(archive_file(a, NULL), i == 4 ? BY_OPEN : BY_BOTH, SSLCV_ERR_FORMAT, texts[i]);
        free(a);
    }
    free(npy);
}
END_TEST

/** A member of zeros behind a header, packed as tightly as deflate can; size of the zeros. */
static int64_t pack_zeros(const char *text, int64_t zeros, char *to, int64_t room, uLong *crc, int64_t *unpacked)
{
    static char block[1 << 16];
    pile *npy = calloc(1, sizeof *npy);
    z_stream stream = {0};
    int64_t done;

    ck_assert_ptr_nonnull(npy);
    npy_add(npy, 1, text, "", 0);
    *crc = crc32(crc32(0, Z_NULL, 0), (const Bytef *)npy->bytes, (uInt)npy->size);
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = (Bytef *)to;
    stream.avail_out = (uInt)room;
    stream.next_in = (Bytef *)npy->bytes;
    stream.avail_in = (uInt)npy->size;
    ck_assert_int_eq(deflate(&stream, Z_NO_FLUSH), Z_OK);
    for (done = 0; done < zeros; done += (int64_t)sizeof block) {
        stream.next_in = (Bytef *)block;
        stream.avail_in = sizeof block;
        *crc = crc32(*crc, (const Bytef *)block, sizeof block);
        ck_assert_int_eq(deflate(&stream, done + (int64_t)sizeof block < zeros ? Z_NO_FLUSH : Z_FINISH),
                         done + (int64_t)sizeof block < zeros ? Z_OK : Z_STREAM_END);
    }
    deflateEnd(&stream);
    *unpacked = npy->size + zeros;
    free(npy);
    return (char *)stream.next_out - to;
}

START_TEST(npz_bombs)
{
    enum { ZEROS = 16 << 20 }; /* 1000 times the file */
    static const char *const texts[3] = {HEADER("<f4", "False", "(4194304,)"), GOOD,
                                         HEADER("<U4", "False", "(1048576,)")};
    char *packed = malloc(PILE_BYTES);
    int i;

    ck_assert_ptr_nonnull(packed);
    for (i = 0; i < 4; i++) {
        member_lies lies = {0};
        archive *a = make_archive();
        uLong crc;
        int64_t unpacked, bytes = pack_zeros(texts[i % 3], ZEROS, packed, PILE_BYTES, &crc, &unpacked);

        lies.crc = crc;
        lies.unpacked = (uint64_t)unpacked;
        if (i == 3) lies.unpacked = 1 << 16; /* the archive, too, says less than what comes out */
        member_add(a, "a.npy", 8, packed, bytes, "", 0, &lies);
        if (i == 0) { /* sizes that are true: refused by the shape of ours, or by the limit */
            refuse(archive_file(a, NULL), BY_LOAD, SSLCV_ERR_FORMAT, "has shape (4194304); ours is (2)");
            a->body.size -= a->directory.size + 22;
            refuse_limited(archive_file(a, NULL), BY_BOTH, ZEROS - 1, SSLCV_ERR_LIMIT,
                           "has tensors of more than 16777215 bytes");
        } else if (i == 1) {
            refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "has 2 elements of <f4, but 16777216 bytes");
        } else if (i == 2) { /* nobody unpacks what nobody can take */
            refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_UNSUPPORTED, "has dtype <U4");
        } else {
            refuse(archive_file(a, NULL), BY_BOTH, SSLCV_ERR_FORMAT, "elements of <f4, but");
        }
        free(a);
    }
    free(packed);
}
END_TEST

START_TEST(every_bit_flipped)
{
    memory_file file = lying_file(1, NULL, NULL);
    int64_t i;

    for (i = 0; i < 8 * file.size; i++) {
        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
        /* Times and attributes may be anything; but the values are the file's, or nothing changes. */
        if (load_from_memory(target, &file, NULL, NULL) == SSLCV_OK) {
            ck_assert_mem_eq(data_of(target, 0), two_values, 8);
            memset(data_of(target, 0), 0, 8);
        }
        ck_assert_float_eq(((float *)data_of(target, 0))[0], 0);
        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
    }
    free(file.bytes);
}
END_TEST

/** All that a reader does with bytes that are exactly so long: a step beyond them is seen by tools. */
static void read_all(const char *bytes, int64_t size, int is_archive)
{
    sslcv__tensor_file file = {.context = context, .path = "x", .size = size, .max_bytes = 1 << 20};
    char *exact = malloc((size_t)size);
    int64_t i;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, (size_t)size);
    file.bytes = exact;
    if (sslcv__npz_parse(&file, is_archive) == SSLCV_OK) {
        for (i = 0; i < file.count; i++) {
            const void *values;
            void *block;

            if (sslcv__tensor_file_check_known(&file, &file.entries[i]) != SSLCV_OK) continue;
            if (sslcv__tensor_file_values(&file, &file.entries[i], &block, &values) == SSLCV_OK) {
                sslcv__free(context, block);
            }
        }
    }
    file.bytes = NULL;
    sslcv__tensor_file_close(&file);
    free(exact);
}

START_TEST(changed_at_random)
{
    enum { ROUNDS = 3000 };
    const member_lies long_form = {.extra_64 = 1};
    archive *a = make_archive();
    memory_file good, single = npy_file(2, HEADER(">f4", "True", "(1, 2)"), two_values, 8);
    uint32_t random = 1;
    int round, change;

    array_add(a, "a.npy", 0, GOOD, two_values, 8, &long_form);
    array_add(a, "b.npy", 1, HEADER(">f4", "True", "(1, 2)"), two_values, 8, NULL);
    good = archive_file(a, NULL);
    for (round = 0; round < ROUNDS; round++) {
        const memory_file *from = round % 4 ? &good : &single;
        int64_t size = from->size;
        char bytes[4096];

        ck_assert_int_le(size, sizeof bytes);
        memcpy(bytes, from->bytes, (size_t)size);
        for (change = 0; change < 1 + round % 5; change++) {
            random = random * 1103515245 + 12345;
            bytes[(random >> 8) % (uint32_t)size] = (char)(random >> 4 & 1 ? random >> 24 : 0xff * (random >> 5 & 1));
        }
        if (round % 7 == 0) size -= (random >> 12) % 40;
        read_all(bytes, size, from == &good);
    }
    free(single.bytes);
    free(good.bytes);
    free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corpus_npz");
    TCase *npz = tcase_create("npz");

    tcase_add_checked_fixture(npz, corpus_setup, corpus_teardown);
    tcase_set_timeout(npz, 30);
    tcase_add_test(npz, npz_members_lie);
    tcase_add_test(npz, npz_sizes_lie);
    tcase_add_test(npz, npz_ends_lie);
    tcase_add_test(npz, npz_ends_of_64_bits_lie);
    tcase_add_test(npz, npz_names);
    tcase_add_test(npz, npz_overlap);
    tcase_add_test(npz, npz_many_members);
    tcase_add_test(npz, npz_deflated_nonsense);
    tcase_add_test(npz, npz_bombs);
    tcase_add_test(npz, every_bit_flipped);
    tcase_add_test(npz, changed_at_random);
    suite_add_tcase(suite, npz);
    return run_suite(suite);
}
