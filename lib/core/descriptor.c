#include "core/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FIRST_OURS = STDERR_FILENO + 1 };

int sslcv__open(const char *path, int flags)
{
    int fd, moved, error;

    do {
        fd = open(path, flags | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 || fd >= FIRST_OURS) return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OURS);
    error = errno;
    close(fd);
    errno = error;
    return moved;
}

DIR *sslcv__open_folder(const char *path)
{
    const int fd = sslcv__open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    const int error = errno;

    if (fd >= 0 && !folder) close(fd);
    errno = error;
    return folder;
}
