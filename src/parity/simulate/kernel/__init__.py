"""The simulation itself: functions on arrays, compiled by Numba where it is installed.

The same functions run as plain Python without it. They take and change the arrays of
`state.Simulation`; nothing is allocated while the clock runs, and between two calls of
`loop.advance` everything that happens next is in these arrays.

Nine arrays hold all of it, because each array that a compiled function takes costs it time: rows of
records for requests, lanes and replicas, whose lists lie in one array of whole numbers
(`Simulation.memory`, at the offsets that the rows name).
"""
