# Vivado HLS 2019.2 to 2020.1: run in this folder, `vivado_hls -f build_prj.tcl`.
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

open_project -reset sparse_cnn_prj
set_top sparse_cnn
add_files firmware/sparse_cnn.cpp -cflags "-std=c++11"
add_files -tb sparse_cnn_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
open_solution -reset solution1
set_part xcu250-figd2104-2L-e
create_clock -period 5 -name default
config_compile -name_max_length 80
config_array_partition -maximum_size 65536

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
