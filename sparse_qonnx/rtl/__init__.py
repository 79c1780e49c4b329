"""RTL: the netlist that the HLS kernels record, made smaller, pipelined, scheduled, and written as Verilog."""
