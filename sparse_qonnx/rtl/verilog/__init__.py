"""A scheduled netlist as Verilog-2005: one module a layer, and the module that connects them."""
