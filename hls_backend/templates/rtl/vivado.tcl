# Out-of-context synthesis, implementation and timing of @TOP@: vivado -mode batch -source vivado.tcl
create_project -in_memory -part @PART@
read_verilog [glob rtl/*.v]
read_xdc -mode out_of_context @TOP@.xdc
synth_design -top @TOP@ -part @PART@ -mode out_of_context -flatten_hierarchy none
report_utilization -hierarchical -file vivado_synth.rpt
opt_design
place_design
phys_opt_design
route_design
report_utilization -hierarchical -file utilization.rpt
report_timing_summary -file timing.rpt
report_timing -max_paths 20 -file timing_paths.rpt
write_checkpoint -force @TOP@.dcp
puts "worst slack [get_property SLACK [get_timing_paths]] ns of @CLOCK_PERIOD@ ns"
