"""From a function of scalars, recorded once for one sample, to native code that runs over a whole batch."""
