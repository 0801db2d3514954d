# A server whose answers are as large as they are asked to be, and come in two halves if a gate is named: the second half when
# there is a file of that name.
fill() { head -c "$1" /dev/zero | tr '\0' x; }
gate() { until [ -e "$gate" ]; do sleep 0.01; done; }
begin() { printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' "$id"; }
end() { printf '"}]}}\n'; }
while IFS= read -r line; do
    id=${line#*'"id":'} id=${id%%,*}
    size=${line#*'"size":'} size=${size%%[!0-9]*}
    gate=${line#*'"gate":"'} gate=${gate%%'"'*}
    token=${line#*'"progressToken":'} token=${token%%[!0-9]*}
    case $line in
    *'"progressToken":'*)
        printf '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}\n' "$token" ;;
    esac
    case $line in
    *'"method":"initialize"'*)
        printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"large","version":"1"}}}\n' "$id" ;;
    *'"method":"server/discover"'*)
        printf '{"jsonrpc":"2.0","id":%s,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","resultType":"complete"}}\n' "$id" ;;
    *'"method":"ping"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
    *'"name":"whole"'*) begin; fill "$size"; end ;;
    *'"name":"halves"'*) begin; fill 100000; gate; fill "$size"; end ;;
    *'"name":"killed"'*) begin; fill 100000; gate; kill -9 $$ ;;
    *'"name":"id-last"'*)
        printf '{"jsonrpc":"2.0","result":{"text":"'; fill "$size"; printf '"},"id":%s}\n' "$id" ;;
    esac
done
