



service.name
shop