



ser