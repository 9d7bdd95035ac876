# A scripted shell session: the same lines on any Unix, compared with session.expected.
# Run by busybox sh, bash and zsh --emulate sh alike.

say() { echo "session: $*"; }

say pipelines
echo one two three | tr ' ' '\n' | sort | head -n 2
seq 1 1000 | grep -c 7
printf 'b\na\nc\n' | sort -r | tr '\n' ' '; echo
false | true; echo "last of a pipeline: $?"
true | false; echo "last of a pipeline: $?"
yes | head -n 3 | wc -l | tr -d ' '
seq 1 20000 | tail -n 1

say here-documents
word=value
cat <<END
expanded $word $((6 * 7)) $(echo inner)
END
cat <<'END'
as it is $word
END
cat <<-END
	without tabs
	END

say redirection
cd "${TMPDIR:-/tmp}" || exit 1
folder=session.$$
mkdir "$folder" && cd "$folder" || exit 1
echo first >file; echo second >>file
cat <file
ls missing 2>errors || echo "ls failed: $(wc -l <errors | tr -d ' ') line"
{ echo out; echo err >&2; } >both 2>&1; sort both
exec 5>five; echo through five >&5; exec 5>&-; cat five
wc -c <file | tr -d ' '

say background jobs
sleep 100 & first=$!
sleep 100 & second=$!
kill "$first"; wait "$first"; echo "killed: $?"
kill -9 "$second"; wait "$second"; echo "killed hard: $?"
(exit 7) & wait $!; echo "exited: $?"
for i in 1 2 3 4; do (sleep 0; echo "job $i" >"job.$i") & done
wait
cat job.*
wait; echo "nobody left: $?"
kill -0 "$first" 2>/dev/null || echo "it is gone"

say stop and continue
sleep 100 & third=$!
kill -STOP "$third"; kill -CONT "$third"; kill -TERM "$third"
wait "$third"; echo "continued and ended: $?"

say traps
trap 'echo "trapped USR1"' USR1
kill -USR1 $$
trap - USR1
sh -c 'trap "echo leaving" EXIT; echo working; exit 3'; echo "code $?"
sh -c 'trap "" TERM; kill -TERM $$; echo survived'
sh -c 'kill -TERM $$; echo not reached'; echo "code $?"
sh -c 'trap "echo interrupted; exit 9" INT; kill -INT $$; echo not reached'; echo "code $?"

say a pipe that breaks
(sh -c 'yes; echo "yes ended" >&2' | head -n 1) 2>/dev/null
sh -c 'yes 2>/dev/null | head -n 1 >/dev/null'; echo "code $?"

say substitution
outer=$(echo "a $(echo "b $(echo c)")"); echo "$outer"
lines=$(seq 1 5); set -- $lines; echo "$# words, last $5"
count=0; while read -r line; do count=$((count + ${#line})); done <file; echo "$count letters"

say a script with an interpreter
printf '#!/bin/sh\necho "script got $# words: $*"\n' >script
chmod +x script; ./script x "y z"; echo "code $?"
chmod -x script; ./script 2>/dev/null; echo "code $?"
./missing 2>/dev/null; echo "code $?"

say a thousand forks
i=0
while [ $i -lt 1000 ]; do
    (exit 0) || echo "fork $i failed"
    i=$((i + 1))
done
echo "forked $i times"
i=0
while [ $i -lt 100 ]; do
    [ "$(echo $i)" = $i ] || echo "substitution $i failed"
    i=$((i + 1))
done
echo "substituted $i times"

cd .. && rm -r "$folder" && ls -d "$folder" 2>/dev/null
say done
