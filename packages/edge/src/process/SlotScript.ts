/**
 * The constant scripts of a slot. They hold nothing of a tenant: what differs comes as
 * arguments or on standard input, and is only ever used in quotes.
 *
 * A slot's shell waits as root inside the slot's namespaces and control groups. Its standard input
 * ends when the edge dies, and then it ends too. File 3 is where it says `ready`, and where the
 * sandbox later says which process is inside.
 */

/** Where a slot keeps mounts that only it sees. Covered by a file system of its own. */
export const prepare = `
set -eu
stage=$1 files=$2 address=$3 ip=$4 nft=$5 bwrap=$6 hidden=$7 gateway=$8 filter=$9 groups=\${10}
shift 10
while [ "$groups" -gt 0 ]; do
  echo $$ >"$1"
  groups=$((groups - 1))
  shift
done
if [ -n "$address" ]; then
  echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
  if [ -n "$nft" ]; then "$nft" -f "$files/fence.nft"; fi
  {
    printf 'link set lo up\\naddress add %s/31 dev eth0\\nlink set eth0 up\\n' "$address"
    if [ -n "$gateway" ]; then printf 'route add default via %s\\n' "$gateway"; fi
  } | "$ip" -batch -
fi
mount -t tmpfs -o mode=0711,size=1m,nosuid,nodev tmpfs "$stage"
mkdir "$stage/etc"
mount -o bind,ro "$files/etc" "$stage/etc"
echo ready >&3
IFS= read -r user || exit 0
IFS= read -r size
index=0
while IFS= read -r source && [ -n "$source" ]; do
  mkdir "$stage/$index"
  mount -o bind,ro -- "$source" "$stage/$index"
  index=$((index + 1))
done
`

export const slotFilterDescriptor = 6

const enterBubblewrap = `
exec setpriv --reuid "$user" --regid "$user" --clear-groups -- \\
  "$bwrap" --args 5 --info-fd 3 -- "$@"
`

/** Goes on as the tenant's user inside bubblewrap. File 5 holds bubblewrap's arguments. */
export const enterSandbox = `
if [ -n "$filter" ]; then exec ${slotFilterDescriptor}<"$filter"; fi
exec 5<&0 </dev/null
${enterBubblewrap}`

/** The files of a slot that runs gVisor: what it is to run, and how it is told to end. */
export const slotSpecDescriptor = 4
export const slotWishDescriptor = 5

/** The same, and from there in gVisor. */
export const enterGvisor = `
exec 6<&0 <&${slotWishDescriptor}
exec 5<&6 6<&-
${enterBubblewrap}`

/** Goes on as the tenant's user without a sandbox. File 5 holds variables as shell text. */
export const enterPlain = `
mkdir -m 0700 "$stage/home"
mount -t tmpfs -o "mode=0700,uid=$user,gid=$user,size=$size"m,nosuid,nodev tmpfs "$stage/home"
mount -t tmpfs -o mode=0700,ro tmpfs "$hidden"
mount -t tmpfs -o "mode=1777,size=$size"m,nosuid,nodev tmpfs /tmp
cd "$stage/0"
echo '{ "child-pid": '$$' }' >&3
exec 3>&- 5<&0 </dev/null
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \\
  --inh-caps=-all --bounding-set=-all -- "$@"
`

/** Runs inside bubblewrap: the command line stays out of what others see of bubblewrap. */
export const insideSandbox = `start=$DEPLOY_MCP_START
unset DEPLOY_MCP_START
exec /bin/sh -c "$start"`

/**
 * Runs as the tenant's user: variables are taken over only here, since LD_PRELOAD and the like
 * would otherwise act in a program of root.
 */
export const insidePlain = `eval "$(cat <&5)"
exec 5<&-
exec /bin/sh -c "$start"`
