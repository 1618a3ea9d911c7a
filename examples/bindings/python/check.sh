#!/bin/sh
# check.sh LIBRARY_FOLDER INCLUDE_FOLDER
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
command -v "$python" > /dev/null 2>&1 || { echo "no $python"; exit 77; }
"$python" -c 'import numpy' 2> /dev/null || { echo "$python has no NumPy"; exit 77; }
export SSLCV_LIBRARY="$1/libsslcv.so.0" PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/test.py" "$2"
