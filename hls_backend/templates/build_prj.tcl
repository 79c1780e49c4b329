# @TOOL@: run in this folder, `@COMMAND@`.
# The steps come from the environment: HLS_STEPS="csim synth cosim export", by default csim and synth.

set steps {csim synth}
if {[info exists ::env(HLS_STEPS)]} {
    set steps $::env(HLS_STEPS)
}
foreach step $steps {
    if {[lsearch -exact {csim synth cosim export} $step] < 0} {
        puts stderr "HLS_STEPS: unknown step $step; known are csim, synth, cosim and export"
        exit 2
    }
}

open_project -reset @TOP@_prj
set_top @TOP@
add_files firmware/@TOP@.cpp -cflags "-std=c++11"
add_files -tb @TOP@_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
open_solution -reset@FLOW_TARGET@ solution1
set_part @PART@
create_clock -period @CLOCK_PERIOD@ -name default
@SETTINGS@

if {[lsearch -exact $steps csim] >= 0} {
    csim_design
}
if {[lsearch -exact $steps synth] >= 0} {
    csynth_design
}
if {[lsearch -exact $steps cosim] >= 0} {
    cosim_design
}
if {[lsearch -exact $steps export] >= 0} {
    export_design -format ip_catalog
}
exit 0
