# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The quickstart's guests, to be sourced by it. A guest's files in `directory` are NAME.in (a FIFO to
# its serial line), NAME.serial (what it says there) and NAME.log (what its QEMU says); `accelerator`
# is what a probe found to work.
directory=${QUICKSTART_DIRECTORY-}
accelerator=
prefix=plimsoll-demo-      # of the guests' names, left out in sentences
guest_bytes=$((512 << 20)) # memory of each
boot_limit=180             # seconds to boot under software emulation on a very busy machine
kvm_boot_limit=15          # a guest in KVM boots in two
declare -A guests=()       # name: pid of its QEMU

# guest_start NAME ACCELERATOR SCHEDULE BALLOON-OPTIONS; the grammar of schedules, here and in
# guest_tell, is in tests/guest/schedule.h. Memory is a memfd because the kernel gives that no huge
# pages unless told to: they would make RSS jump by 2 MiB and hold what the balloon has freed.
guest_start() {
    local name=$prefix$1 options=(-accel kvm -cpu host) files
    mapfile -t files <"$directory/guest"
    if [ "$2" = tcg ]; then
        # Translated code counts in QEMU's memory: 32 MiB is plenty for so small a guest.
        options=(-accel "tcg,tb-size=32" -cpu max)
    fi
    mkfifo "$directory/$1.in"
    setpriv --pdeathsig KILL qemu-system-x86_64 -name "$name" \
        -uuid "$(cat /proc/sys/kernel/random/uuid)" "${options[@]}" \
        -nodefaults -no-user-config -no-reboot -display none -smp 1 -m "$((guest_bytes >> 20))" \
        -object "memory-backend-memfd,id=memory,share=on,size=$guest_bytes" \
        -machine pc,memory-backend=memory \
        -kernel "${files[0]}" -initrd "${files[1]}" \
        -append "console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on tsc=reliable \
no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 transparent_hugepage=never plimsoll=$3" \
        -device "virtio-balloon-pci$4" -serial stdio \
        -qmp "unix:$directory/qmp/$name,server=on,wait=off" \
        <>"$directory/$1.in" >"$directory/$1.serial" 2>"$directory/$1.log" &
    guests[$1]=$!
}

guest_tell() {
    echo "$2" >"$directory/$1.in"
}

# By the shell's own list, as a pid may have gone to another process since the guest ended.
guest_alive() {
    jobs -r -p | grep -qx "${guests[$1]-none}"
}

guest_stop() {
    if guest_alive "$1"; then
        kill -KILL "${guests[$1]}"
        wait "${guests[$1]}"
    fi 2>/dev/null
    unset "guests[$1]"
    rm -f "$directory/$1.in"
}

# guest_says NAME WORDS SECONDS: waits for a line of the guest.
guest_says() {
    local end=$((SECONDS + $3))
    while guest_alive "$1" && [ $SECONDS -lt $end ]; do
        if grep -q "plimsoll-guest: [0-9]* $2" "$directory/$1.serial"; then
            return 0
        fi
        sleep 0.2
    done
    return 1
}

# A /dev/kvm that opens is no proof, least of all inside a virtual machine: only a boot is.
accelerator_choose() {
    accelerator=tcg
    if [ -w /dev/kvm ]; then
        guest_start probe kvm "" ""
        # The shell would tell of a QEMU that aborts, which some virtual KVMs make it do.
        if guest_says probe ready "$kvm_boot_limit" 2>/dev/null; then
            accelerator=kvm
        fi
        guest_stop probe
    fi
    case $accelerator in
    kvm) say "the guests run in KVM" ;;
    *) say "KVM does not work here; the guests run in software emulation" ;;
    esac
}

# web tells its host by itself what it has freed. cache has used memory and freed it, which its host
# cannot know: idle memory. batch has yet to begin.
guests_start() {
    local name last
    declare -A last=([web]="done step=grow" [cache]="done step=grow" [batch]="ready")
    guest_start web "$accelerator" "grow:30M" ",free-page-reporting=on"
    guest_start cache "$accelerator" "grow:220M" ""
    guest_start batch "$accelerator" "" ""
    for name in web cache batch; do
        if ! guest_says "$name" "${last[$name]}" "$boot_limit"; then
            complain "guest $name did not come up within $boot_limit s; its last words:"
            tail -n 5 "$directory/$name.log" "$directory/$name.serial" >&2
            return 1
        fi
    done
    guest_tell cache "free:150M"
    guest_says cache "done step=free" "$boot_limit"
}
