#!/bin/sh
# Speaks to the plugin as the app does: sh tests/run.sh
cd "$(dirname "$0")/../archive" || exit 1
failed=0

check() { # WHAT, REQUEST, PATTERN OF THE ANSWER
    got=$(printf '%s\n' "$2" | sh dice.sh)
    if ! printf '%s\n' "$got" | grep -Eq "$3"; then
        printf 'not so: %s\n  %s\n' "$1" "$got"
        failed=1
    fi
}

command() { # ARGUMENT, WITH WHAT HAS TO BE ESCAPED IN JSON
    printf '{"jsonrpc":"2.0","id":7,"method":"command/run","params":{"command":"dice","argument":"%s","messages":[]}}' "$1"
}

check 'it says what it adds' '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocol":1,"app":"1"}}' \
    '^\{"jsonrpc":"2.0","id":0,"result":\{"protocol":1,.*"name":"dice"'
check 'two dice give a sum and both faces' "$(command 2d6)" \
    '"id":7,"result":\{"result":\{"type":"show","markdown":"\*\*([2-9]|1[0-2])\*\* \(2d6: [1-6] [1-6]\)"'
check 'nothing is one die of six sides' "$(command '')" '\*\*[1-6]\*\* \(1d6: [1-6]\)'
check 'one die may go without a number' "$(command d20)" '\(d20: '
check 'too many dice are not rolled' "$(command 101d6)" 'Roll as in'
check 'no number is run as code' "$(command '$(id)d6')" 'Roll as in'
check 'a quotation mark ends nothing' "$(command '\",\"method\":\"stop\"')" '"id":7.*Roll as in'
check 'any other call is answered' '{"jsonrpc":"2.0","id":3,"method":"start","params":{}}' '"id":3,"result":null'
check 'a notice is not answered' '{"jsonrpc":"2.0","method":"$/cancel","params":{"id":3}}' '"id":3|^$'
exit $failed
