create_clock -period @CLOCK_PERIOD@ -name clk [get_ports clk]
