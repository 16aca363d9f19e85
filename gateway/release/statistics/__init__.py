"""The mathematics of the judge, pure: nothing but `math`, and counts that add up."""
