#!/bin/sh
# A whole plugin in the shell of POSIX: the command /dice over the plugin protocol, one JSON message on each line.
# The app writes its JSON without blanks. A quotation mark inside of a text is escaped there, so the patterns below
# match the message itself and nothing that somebody typed.
LC_ALL=C
export LC_ALL

answer() { # RESULT
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"
}

field() { # NAME: the text of a field without escapes in it
    printf '%s\n' "$line" | sed -n "s/.*\"$1\":\"\\([^\"\\\\]*\\)\".*/\\1/p"
}

show() { # MARKDOWN
    answer "{\"result\":{\"type\":\"show\",\"markdown\":\"$1\"}}"
}

number() { # LOW HIGH TEXT: whether it is a number within these limits, written without zeros before it
    case $3 in
    '' | 0* | *[!0-9]* | ?????*) return 1 ;;
    esac
    [ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
}

roll() { # DICE
    wanted=$1
    count=${wanted%%d*}
    sides=${wanted#*d}
    if [ "$wanted" = "$count" ] || ! number 1 100 "${count:-1}" || ! number 2 1000 "$sides"; then
        show 'Roll as in `/dice 2d6`: up to 100 dice of up to 1000 sides.'
        return
    fi
    sum=0
    rolls=
    # 65536 values for at most 1000 sides: no face is more than 2 percent likelier than another
    for value in $(od -An -v -tu2 -N $((2 * ${count:-1})) /dev/urandom); do
        face=$((value % sides + 1))
        sum=$((sum + face))
        rolls="$rolls $face"
    done
    show "**$sum** ($wanted:$rolls)"
}

while IFS= read -r line; do
    id=$(printf '%s\n' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
    case $(field method) in
    initialize)
        answer '{"protocol":1,"plugin":{"name":"dice","version":"1.0.0","summary":"Rolls dice: /dice 2d6","commands":[{"name":"dice","summary":"Roll dice","argument":"DICE"}]}}'
        ;;
    command/run)
        case $line in
        *'"argument":""'*) roll 1d6 ;;
        *) roll "$(field argument)" ;;
        esac
        ;;
    stop) exit 0 ;;
    *) [ -n "$id" ] && answer null ;;
    esac
done
