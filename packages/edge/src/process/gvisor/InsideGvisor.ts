/**
 * What gVisor runs first: it starts the service and hands it SIGTERM, since no signal of the host reaches
 * what runs in another kernel. Standard input is how it is told: what comes there, or its end when the
 * edge dies, is the wish that the service ends. As `serviceProcesses` has it for the host, a shell that
 * only runs a command line does not hear it, but what it runs. (gVisor's list of a process's children has
 * each of their threads, so their parents are looked at instead.)
 */
export const insideGvisor = `start=$DEPLOY_MCP_START
unset DEPLOY_MCP_START
exec 3<&0 </dev/null
below() {
  for folder in /proc/[0-9]*; do
    while read -r name value; do
      if [ "$name $value" = "PPid: $1" ]; then echo "\${folder#/proc/}"; fi
    done <"$folder/status"
  done 2>/dev/null
}
end() {
  IFS= read -r line <"/proc/$1/cmdline"
  case $line in
    sh-c*|*/sh-c*|bash-c*|*/bash-c*|dash-c*|*/dash-c*|ash-c*|*/ash-c*)
      all=$(below "$1")
      if [ -n "$all" ]; then
        for each in $all; do end "$each"; done
        return
      fi ;;
  esac
  kill -TERM "$1"
}
{
  read -r wish <&3
  read -r self rest </proc/self/stat
  for each in $(below 1); do
    if [ "$each" != "$self" ]; then end "$each"; fi
  done
} &
/bin/sh -c "$start" 3<&-
exit $?`
