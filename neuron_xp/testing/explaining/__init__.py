"""Why two runs part: their operations are recorded, compared, and computed anew in other ways."""
