# Vitis 2024.2 and later: run in this folder, `vitis-run --mode hls --tcl build_prj.tcl`.
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

open_project -reset pixelwise_prj
set_top pixelwise
add_files firmware/pixelwise.cpp -cflags "-std=c++11"
add_files -tb pixelwise_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
open_solution -reset -flow_target vivado solution1
set_part xcu250-figd2104-2L-e
create_clock -period 5 -name default
config_compile -name_max_length 80
set_clock_uncertainty 15% default

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
