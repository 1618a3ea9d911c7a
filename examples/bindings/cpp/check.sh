#!/bin/sh
# check.sh LIBRARY_FOLDER INCLUDE_FOLDER
here=$(cd "$(dirname "$0")" && pwd)
compiler=${CXX:-c++}
command -v "${compiler%% *}" > /dev/null 2>&1 || { echo "no $compiler"; exit 77; }
echo 'int main() {}' > probe.cpp
$compiler -std=c++17 -c probe.cpp || { echo "$compiler does not know C++17"; exit 77; }
set -e
flags="-std=c++17 -O1 -pedantic -Wall -Wextra -Wshadow -Werror -I$2"
awk '/^```cpp$/ { open = 1; next } /^```/ { open = 0 } open' "$here/README.md" > readme.cpp
for program in readme "$here/test"; do
    $compiler $flags $CXXFLAGS "$program.cpp" -o "$(basename "$program")" $LDFLAGS -L"$1" -lsslcv -Wl,-rpath,"$1"
done
./readme
[ -s backbone.safetensors ]
# Every public function has its place in the header.
sed -n 's/^    \(sslcv_[a-z0-9_]*\);$/\1/p' "$here/../../../lib/sslcv.map" | while read -r name; do
    grep -qw "$name" "$2/sslcv/sslcv.hpp" || { echo "sslcv.hpp lacks $name"; exit 1; }
done
exec ./test
