#!/bin/sh
# Makes the token of the admin port, once; it is in no repository and in no image.
#
# The containers run as other users than you, and Compose hands a file over with the rights it has:
# so everybody may read the file, and nobody but you may enter its folder.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 0700 secrets
if [ -s secrets/admin-token ]; then
    echo "There is a token already: $PWD/secrets/admin-token"
    exit 0
fi
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >secrets/admin-token
chmod 0644 secrets/admin-token
echo "The token is in $PWD/secrets/admin-token; commands on this machine find it by"
echo "    export GRAYGATE_ADMIN__TOKEN_FILE=$PWD/secrets/admin-token"
