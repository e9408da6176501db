"""What services and people send to do harm, with a bound of time and memory for each."""
