#include "page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

static const char *const head =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Learning to see without labels</title>\n<style>\n"
    "body { font: 16px/1.5 system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; color: #222; background: "
    "#fafafa;\n"
    "       max-width: 1080px; margin: 0 auto; padding: 24px; }\n"
    "h1 { font-size: 30px; margin: 8px 0; } h2 { font-size: 20px; margin: 36px 0 8px; }\n"
    "p { max-width: 760px; margin: 6px 0 14px; } .note { color: #666; font-size: 14px; }\n"
    "table { border-collapse: collapse; background: #fff; } .scores { min-width: 620px; }\n"
    ".scores th, .scores td { padding: 8px 18px; border-bottom: 1px solid #e3e3e3; text-align: right; }\n"
    ".scores th:first-child, .scores td:first-child { text-align: left; }\n"
    ".scores thead th { border-bottom: 2px solid #bbb; font-weight: 600; }\n"
    ".scores tr.ours { background: #eef5fd; } .best { font-weight: 700; }\n"
    ".charts { display: flex; flex-wrap: wrap; gap: 16px; } svg { max-width: 100%; height: auto; }\n"
    ".near td { padding: 5px; text-align: center; font-size: 12px; color: #555; line-height: 1.25; }\n"
    ".near img { width: 64px; height: 64px; display: block; margin: 0 auto 3px; image-rendering: pixelated;\n"
    "            border: 3px solid #3a9d5d; } .near .other img { border-color: #d9534f; }\n"
    ".near .query img { border-color: #222; } .near .query { padding-right: 22px; color: #222; font-weight: 600; }\n"
    "</style>\n</head>\n<body>\n";

int page_best(const page *p, int share)
{
    int best = 0;

    for (int row = 1; row < PAGE_ROWS; row++) {
        if (p->accuracy[row][share] > p->accuracy[best][share]) best = row;
    }
    return best;
}

static void write_table(FILE *file, const page *p)
{
    fprintf(file, "<table class=\"scores\">\n<thead><tr><th>labels used</th>");
    for (int share = 0; share < PAGE_SHARES; share++) fprintf(file, "<th>%s</th>", p->share_names[share]);
    fprintf(file, "</tr></thead>\n<tbody>\n");
    for (int row = 0; row < PAGE_ROWS; row++) {
        fprintf(file, "<tr%s><td>%s</td>", row == PAGE_ROWS - 2 ? " class=\"ours\"" : "", p->row_names[row]);
        for (int share = 0; share < PAGE_SHARES; share++) {
            fprintf(file, "<td%s>%.1f %%</td>", page_best(p, share) == row ? " class=\"best\"" : "",
                    100 * p->accuracy[row][share]);
        }
        fprintf(file, "</tr>\n");
    }
    fprintf(file, "</tbody>\n</table>\n");
}

/* ---- pictures ---- */

/** PNG bytes on their way into the page, three at a time. */
typedef struct base64 {
    FILE *file;
    uint32_t bits;
    int count; /* bytes held in bits, 0 .. 2 */
} base64;

static void put_base64(base64 *b, int characters)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (int i = 0; i < 4; i++) fputc(i < characters ? digits[b->bits >> (18 - 6 * i) & 63] : '=', b->file);
    b->bits = 0;
    b->count = 0;
}

static void take_bytes(void *user, void *data, int size)
{
    const unsigned char *bytes = data;
    base64 *b = user;

    for (int i = 0; i < size; i++) {
        b->bits |= (uint32_t)bytes[i] << (16 - 8 * b->count++);
        if (b->count == 3) put_base64(b, 4);
    }
}

static int write_picture(FILE *file, const page *p, const page_picture *picture)
{
    base64 b = {file, 0, 0};
    int ok;

    fprintf(file, "<img alt=\"\" src=\"data:image/png;base64,");
    ok = stbi_write_png_to_func(take_bytes, &b, (int)p->side, (int)p->side, 1, picture->pixels, (int)p->side);
    if (b.count > 0) put_base64(&b, b.count + 1);
    fprintf(file, "\">%s", p->class_name(picture->label));
    return ok;
}

static int write_neighbours(FILE *file, const page *p)
{
    int ok = 1;

    fprintf(file, "<table class=\"near\">\n");
    for (int row = 0; row < PAGE_QUERIES; row++) {
        const page_picture *pictures = p->pictures[row];

        fprintf(file, "<tr><td class=\"query\">");
        ok &= write_picture(file, p, &pictures[0]);
        fprintf(file, "</td>");
        for (int i = 1; i <= PAGE_NEIGHBOURS; i++) {
            fprintf(file, "<td%s>", pictures[i].label == pictures[0].label ? "" : " class=\"other\"");
            ok &= write_picture(file, p, &pictures[i]);
            fprintf(file, "<br>%.3f</td>", pictures[i].similarity);
        }
        fprintf(file, "</tr>\n");
    }
    fprintf(file, "</table>\n");
    return ok;
}

/* All rows in one picture; between query and neighbours a gap. */
static int write_sheet(const page *p, const char *path)
{
    enum { GAP = 4 };
    const int64_t cell = p->side + GAP;
    const int64_t width = (1 + PAGE_NEIGHBOURS) * cell + 3 * GAP, height = PAGE_QUERIES * cell + GAP;
    unsigned char *sheet = malloc((size_t)(width * height));
    int ok;

    if (!sheet) return 0;
    memset(sheet, 255, (size_t)(width * height));
    for (int64_t row = 0; row < PAGE_QUERIES; row++) {
        for (int64_t i = 0; i <= PAGE_NEIGHBOURS; i++) {
            unsigned char *corner = sheet + (GAP + row * cell) * width + GAP + i * cell + (i > 0 ? 2 * GAP : 0);

            for (int64_t y = 0; y < p->side; y++) {
                memcpy(corner + y * width, p->pictures[row][i].pixels + y * p->side, (size_t)p->side);
            }
        }
    }
    ok = stbi_write_png(path, (int)width, (int)height, 1, sheet, (int)width);
    free(sheet);
    return ok;
}

/* ---- files ---- */

/** What a file is filled with. */
typedef int (*writer)(FILE *file, const page *p); /* 0: failed */

static int write_page(FILE *file, const page *p)
{
    int ok;

    fprintf(file, "%s<h1>Learning to see without labels</h1>\n<p>%s</p>\n", head, p->summary);
    fprintf(file,
            "<h2>What a few labels are worth</h2>\n"
            "<p>Right answers on the 10,000 test images. The first three rows are a linear classifier on the "
            "pixels, or on the map in the middle of the network; the last is a network of the same kind, trained on "
            "those labels alone.</p>\n");
    write_table(file, p);
    fprintf(file, "<h2>The run</h2>\n<div class=\"charts\">\n");
    chart_draw(file, &p->loss);
    chart_draw(file, &p->knn);
    fprintf(file, "</div>\n<p class=\"note\">The k-NN score lets the 20 training images that look most alike to the "
                  "network vote on each of 1,000 test images. It watches; nothing is learnt from it.</p>\n");
    fprintf(file,
            "<h2>A map of what it has learnt</h2>\n"
            "<p>%lld test images, each a point at its two principal components (%.0f %% of the variance). The "
            "colours are the classes, which the network has never been told.</p>\n",
            (long long)p->map.count, 100 * p->map_share);
    chart_draw_map(file, &p->map);
    fprintf(file, "<h2>What looks alike to it</h2>\n"
                  "<p>Ten test images, and the training images whose features are nearest, with the cosine similarity. "
                  "Green: of the same class; red: of another.</p>\n");
    ok = write_neighbours(file, p);
    fprintf(file, "</body>\n</html>\n");
    return ok;
}

static int write_loss(FILE *file, const page *p)
{
    chart_draw(file, &p->loss);
    return 1;
}

static int write_knn(FILE *file, const page *p)
{
    chart_draw(file, &p->knn);
    return 1;
}

static int write_map(FILE *file, const page *p)
{
    chart_draw_map(file, &p->map);
    return 1;
}

static int write_file(const page *p, const char *folder, const char *name, writer write)
{
    char path[4096];
    FILE *file;
    int ok;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    file = fopen(path, "w");
    if (!file) return -1;
    ok = write(file, p) && !ferror(file);
    if (fclose(file) != 0) ok = 0;
    return ok ? 0 : -1;
}

int page_write(const page *p, const char *folder)
{
    char path[4096];

    if (write_file(p, folder, "loss.svg", write_loss) || write_file(p, folder, "knn.svg", write_knn) ||
        write_file(p, folder, "map.svg", write_map) || write_file(p, folder, "index.html", write_page)) {
        return -1;
    }
    if (snprintf(path, sizeof path, "%s/neighbours.png", folder) >= (int)sizeof path) return -1;
    return write_sheet(p, path) ? 0 : -1;
}
